/* SPDX-License-Identifier: MIT */
/* What links join: ports, switches, radios and stations. */
#include "runtime/fabric/bridge.h"
#include "runtime/fabric/engine.h"
#include "runtime/fabric/port.h"
#include "runtime/fabric/radio.h"
#include "runtime/fabric/station.h"

#include <errno.h>
#include <stdlib.h>

int engine_port_add(struct engine *e, int fd)
{
    struct port *port;
    int err = port_open(&e->plane, fd, &port);
    if (err < 0)
        return err;
    int id = table_add(&e->ports, port);
    if (id < 0)
        port_close(&e->plane, port);
    return id;
}

/* The number of links is no limit to a switch, so the links of one are looked for among all. */
static void remove_links_of(struct engine *e, struct end end)
{
    for (size_t id = 0; id < e->links.len; id++) {
        const struct link *l = engine_link(e, (int)id);
        for (int i = 0; l && i < 2; i++) {
            if (end_is(&l->ends[i], &end)) {
                engine_link_remove(e, (int)id);
                break;
            }
        }
    }
}

int engine_port_remove(struct engine *e, int id)
{
    struct port *port = table_get(&e->ports, id);
    if (!port)
        return -ENOENT;
    if (port->out)
        remove_links_of(e, (struct end){.kind = FABRIC_PORT, .port = port});
    port_close(&e->plane, port);
    table_remove(&e->ports, id);
    return 0;
}

int engine_port_desert(struct engine *e, int id, bool deserted)
{
    struct port *port = table_get(&e->ports, id);
    if (!port)
        return -ENOENT;
    port_desert(&e->plane, port, deserted);
    return 0;
}

int engine_switch_add(struct engine *e, int64_t ageing_ns, unsigned flags)
{
    if (ageing_ns < 0 || (flags & ~FABRIC_SWITCH_HUB))
        return -EINVAL;
    struct bridge *b = bridge_new(ageing_ns, flags & FABRIC_SWITCH_HUB);
    if (!b)
        return -ENOMEM;
    int id = table_add(&e->bridges, b);
    if (id < 0)
        bridge_free(b);
    else
        b->id = id;
    return id;
}

int engine_switch_stats(struct engine *e, int id, struct fabric_switch_stats *out)
{
    const struct bridge *b = table_get(&e->bridges, id);
    if (!b)
        return -ENOENT;
    *out = b->stats;
    return 0;
}

int engine_switch_remove(struct engine *e, int id)
{
    struct bridge *b = table_get(&e->bridges, id);
    if (!b)
        return -ENOENT;
    if (b->len > 0)
        remove_links_of(e, (struct end){.kind = FABRIC_SWITCH, .bridge = b});
    bridge_free(b);
    table_remove(&e->bridges, id);
    return 0;
}

int engine_radio_add(struct engine *e, const struct fabric_radio_config *c)
{
    if (fabric_radio_check(c))
        return -EINVAL;
    int err = schedule_admit(&e->plane.schedule, 1);
    if (err < 0)
        return err;
    struct radio *r = radio_new(c, e->seed, (int)e->radios.len);
    int id = r ? table_add(&e->radios, r) : -ENOMEM;
    if (id < 0) {
        if (r)
            radio_free(&e->plane, r);
        schedule_dismiss(&e->plane.schedule, 1);
    }
    return id;
}

int engine_radio_remove(struct engine *e, int id)
{
    struct radio *r = table_get(&e->radios, id);
    if (!r)
        return -ENOENT;
    if (r->len > 0)
        remove_links_of(e, (struct end){.kind = FABRIC_RADIO, .radio = r});
    radio_free(&e->plane, r);
    schedule_dismiss(&e->plane.schedule, 1);
    table_remove(&e->radios, id);
    return 0;
}

/* Return: the direction of @link that leaves the radio, or NULL when the link does not join it. */
static struct direction *member_of(const struct engine *e, const struct radio *r, int link)
{
    struct link *l = engine_link(e, link);
    for (int i = 0; r && l && i < 2; i++) {
        if (l->ends[i].kind == FABRIC_RADIO && l->ends[i].radio == r)
            return &l->directions[i];
    }
    return NULL;
}

int engine_radio_move(struct engine *e, int id, int link, const struct fabric_motion *m)
{
    struct radio *r = table_get(&e->radios, id);
    const struct direction *member = member_of(e, r, link);
    return member ? radio_move(r, member, m, e->plane.now) : -ENOENT;
}

int engine_radio_position(struct engine *e, int id, int link, double xy[2])
{
    const struct radio *r = table_get(&e->radios, id);
    const struct direction *member = member_of(e, r, link);
    return member && radio_position(r, member, e->plane.now, xy) ? 0 : -ENOENT;
}

int engine_radio_stats(struct engine *e, int id, int link, struct fabric_radio_stats *out)
{
    const struct radio *r = table_get(&e->radios, id);
    const struct direction *member = member_of(e, r, link);
    return member ? radio_stats(r, member, out) : -ENOENT;
}

int engine_station_add(struct engine *e, const struct fabric_station_config *c)
{
    struct station *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->config = *c;
    int id = table_add(&e->stations, s);
    if (id < 0)
        free(s);
    return id;
}

int engine_station_remove(struct engine *e, int id)
{
    struct station *s = table_get(&e->stations, id);
    if (!s)
        return -ENOENT;
    if (s->out)
        remove_links_of(e, (struct end){.kind = FABRIC_STATION, .station = s});
    free(s);
    table_remove(&e->stations, id);
    return 0;
}
