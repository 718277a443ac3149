/* SPDX-License-Identifier: MIT */
/* A run's folder: events as they happen, the result at the end. */
#ifndef QN_RUNTIME_RECORD_H
#define QN_RUNTIME_RECORD_H

#include <jansson.h>

struct record;

/** Make the run's folder with its console/ inside and open events.jsonl.
 * @folder  its path, which may exist when it is empty of an earlier run's result; NULL:
 * runs/NAME-TIME here, with a number behind it if that is taken Return: 0, or negative errno
 * (-EEXIST: @folder holds a run already). */
int record_open(struct record **out, const char *folder, const char *name);

/** Append one line to events.jsonl; once that has failed, nothing more. @event: its reference is
 * taken; NULL: there was no memory for it. Return: 0, or the negative errno of the first failure.
 */
int record_event(struct record *record, json_t *event);

/** Return: why an event could not be written, a negative errno; 0: all were. */
int record_problem(const struct record *record);

/** Append @line, "t,series,unit,value" and a newline, to series.csv, which is made at the first.
 * Return: 0 or negative errno. */
int record_sample(struct record *record, const char *line);

/** Write result.json, whole or not at all. @result: its reference is taken.
 * Return: 0 or negative errno. */
int record_result(struct record *record, json_t *result);

/** Return: the folder's path. */
const char *record_folder(const struct record *record);

void record_close(struct record *record);

#endif
