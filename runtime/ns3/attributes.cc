// SPDX-License-Identifier: MIT
#include "attributes.hh"

#include "medium.hh"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <ns3/global-value.h>
#include <ns3/object-factory.h>
#include <ns3/string.h>
#include <sstream>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace qn
{

using namespace ns3;

TypeId find_type(const std::string &name)
{
    TypeId type;
    std::string full = name.rfind("ns3::", 0) == 0 ? name : "ns3::" + name;
    if (!TypeId::LookupByNameFailSafe(full, &type))
        throw Problem("ns-3 has no type " + full);
    return type;
}

static std::string attributes_of(TypeId type)
{
    std::string names;
    for (;; type = type.GetParent()) {
        for (size_t i = 0; i < type.GetAttributeN(); i++)
            names += (names.empty() ? "" : ", ") + type.GetAttribute(i).name;
        if (!type.HasParent() || type.GetParent() == type)
            return names.empty() ? "none" : names;
    }
}

bool succeeds_apart(const std::function<bool()> &trial)
{
    pid_t pid = fork();
    if (pid == 0) {
        int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(quiet, STDERR_FILENO);
        prctl(PR_SET_DUMPABLE, 0); // no core file
        _exit(trial() ? 0 : 1);
    }
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static TypeId::AttributeInformation find_attribute(TypeId type, const std::string &name)
{
    TypeId::AttributeInformation info;
    if (!type.LookupAttributeByName(name, &info))
        throw Problem(type.GetName() + " has no attribute " + name +
                      "; it has: " + attributes_of(type));
    return info;
}

struct Setting {
    TypeId::AttributeInformation info;
    std::string name, value;

    bool IsNumber() const
    {
        char *end;
        strtod(value.c_str(), &end);
        return info.checker->GetValueTypeName() == "ns3::DoubleValue" && !value.empty() &&
               *end == '\0';
    }
    bool IsReadable() const
    {
        return IsNumber() || info.checker->CreateValidValue(StringValue(value)) != nullptr;
    }
};

// Some types abort the simulation over a text that they cannot read.
static void check(TypeId type, const std::vector<Setting> &settings)
{
    auto is_readable = [](const Setting &setting) { return setting.IsReadable(); };
    auto is_number = [](const Setting &setting) { return setting.IsNumber(); };
    if (std::all_of(settings.begin(), settings.end(), is_number) ||
        succeeds_apart([&] { return std::all_of(settings.begin(), settings.end(), is_readable); }))
        return;
    for (const Setting &setting : settings) {
        if (!succeeds_apart([&] { return setting.IsReadable(); }))
            throw Problem("bad value " + setting.value + " for " + type.GetName() +
                          "::" + setting.name + ": want " +
                          setting.info.checker->GetValueTypeName() + ", as " +
                          setting.info.initialValue->SerializeToString(setting.info.checker));
    }
}

static void check(TypeId type, const std::string &name, const std::string &value)
{
    check(type, {Setting{find_attribute(type, name), name, value}});
}

void set_checked(Ptr<Object> object, const std::string &name, const std::string &value)
{
    TypeId type = object->GetInstanceTypeId();
    check(type, name, value);
    if (!object->SetAttributeFailSafe(name, StringValue(value)))
        throw Problem(type.GetName() + "::" + name + " cannot be set to " + value);
}

Ptr<Object> create_object(const std::string &name, const Json &attributes)
{
    ObjectFactory factory;
    TypeId type = find_type(name);
    if (!type.HasConstructor())
        throw Problem(type.GetName() + " is abstract: no object can be made of it");
    factory.SetTypeId(type);
    std::vector<Setting> settings;
    attributes.Each([&](const std::string &key, const std::string &value) {
        settings.push_back({find_attribute(type, key), key, value});
    });
    check(type, settings);
    for (const Setting &setting : settings)
        factory.Set(setting.name, StringValue(setting.value));
    return factory.Create<Object>();
}

// Types in a path that do not exist would end the simulation.
static void check_types(const std::string &path)
{
    std::istringstream parts(path);
    for (std::string part; std::getline(parts, part, '/');) {
        if (!part.empty() && part[0] == '$')
            find_type(part.substr(1));
    }
}

Config::MatchContainer find_objects(const std::string &path, std::string *name)
{
    size_t slash = path.rfind('/');
    if (path.empty() || path[0] != '/' || slash == 0 || slash + 1 == path.size())
        throw Problem("bad path " + path + ": want one as /NodeList/*/DeviceList/*/Name");
    std::string objects = path.substr(0, slash);
    *name = path.substr(slash + 1);
    check_types(objects);
    Config::MatchContainer found = Config::LookupMatches(objects);
    if (found.GetN() == 0)
        throw Problem("no object has the path " + objects);
    return found;
}

static Json set_default(const std::string &path, const std::string &value)
{
    size_t colons = path.rfind("::");
    TypeId type = find_type(path.substr(0, colons));
    check(type, path.substr(colons + 2), value);
    if (!Config::SetDefaultFailSafe(path, StringValue(value)))
        throw Problem(path + " cannot be set to " + value);
    return Json::Of(1);
}

static Json set_global(const std::string &name, const std::string &value)
{
    std::string names;
    for (auto i = GlobalValue::Begin(); i != GlobalValue::End(); i++)
        names += (names.empty() ? "" : ", ") + (*i)->GetName();
    if (!Config::SetGlobalFailSafe(name, StringValue(value)))
        throw Problem("no global value " + name + " can be set to " + value + "; there are: " +
                      names + "; a path begins with /, a type's default is ns3::Type::Name");
    return Json::Of(1);
}

Json set_attribute(const Json &request)
{
    std::string path = request.Text("path"), value = request.Text("value"), name;
    if (path.rfind("ns3::", 0) == 0 && path.rfind("::") > 4)
        return set_default(path, value);
    if (path[0] != '/')
        return set_global(path, value);
    Config::MatchContainer found = find_objects(path, &name);
    for (size_t i = 0; i < found.GetN(); i++)
        set_checked(found.Get(i), name, value);
    return Json::Of(found.GetN());
}

Json get_attribute(const Json &request)
{
    std::string name, path = request.Text("path");
    Config::MatchContainer found = find_objects(path, &name);
    Json values = Json::Array();
    for (size_t i = 0; i < found.GetN(); i++) {
        StringValue value;
        TypeId type = found.Get(i)->GetInstanceTypeId();
        find_attribute(type, name);
        if (!found.Get(i)->GetAttributeFailSafe(name, value))
            throw Problem(type.GetName() + "::" + name + " cannot be read");
        values.Add(Json::Of(value.Get()));
    }
    return values;
}

} // namespace qn
