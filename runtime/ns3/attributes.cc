// SPDX-License-Identifier: MIT
#include "attributes.hh"

#include "medium.hh"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <ns3/global-value.h>
#include <ns3/object-factory.h>
#include <ns3/string.h>
#include <set>
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

// A trial may want what another thread held when the process was copied.
static constexpr unsigned TRIAL_S = 2;

bool succeeds_apart(const std::function<bool()> &trial)
{
    pid_t pid = fork();
    if (pid == 0) {
        int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(quiet, STDERR_FILENO);
        prctl(PR_SET_DUMPABLE, 0); // no core file
        alarm(TRIAL_S);
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

    // As ns-3 reads one: neither "nan" nor "0x1" is.
    bool IsNumber() const
    {
        std::istringstream text(value);
        double number;
        return info.checker->GetValueTypeName() == "ns3::DoubleValue" && text >> number &&
               text.eof();
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

// "ns3::Type::Name" of what is made later.
static bool is_default(const std::string &path)
{
    return path.rfind("ns3::", 0) == 0 && path.rfind("::") > 4;
}

static TypeId type_of_default(const std::string &path)
{
    return find_type(path.substr(0, path.rfind("::")));
}

static std::string name_of_default(const std::string &path)
{
    return path.substr(path.rfind("::") + 2);
}

static void set_default(const std::string &path, const std::string &value)
{
    check(type_of_default(path), name_of_default(path), value);
    if (!Config::SetDefaultFailSafe(path, StringValue(value)))
        throw Problem(path + " cannot be set to " + value);
}

static void check_global(const std::string &name)
{
    std::string names;
    for (auto i = GlobalValue::Begin(); i != GlobalValue::End(); i++) {
        if ((*i)->GetName() == name)
            return;
        names += (names.empty() ? "" : ", ") + (*i)->GetName();
    }
    throw Problem("no global value " + name + "; there are: " + names +
                  "; a path begins with /, a type's default is ns3::Type::Name");
}

static void set_global(const std::string &name, const std::string &value)
{
    auto set = [&] { return Config::SetGlobalFailSafe(name, StringValue(value)); };
    check_global(name);
    if (!succeeds_apart(set) || !set())
        throw Problem("the global value " + name + " cannot be set to " + value);
}

// All of the objects, or none.
static size_t set_objects(const std::string &path, const std::string &value)
{
    std::string name;
    Config::MatchContainer found = find_objects(path, &name);
    std::set<TypeId> checked;
    for (size_t i = 0; i < found.GetN(); i++) {
        TypeId type = found.Get(i)->GetInstanceTypeId();
        if (checked.insert(type).second)
            check(type, name, value);
    }
    for (size_t i = 0; i < found.GetN(); i++)
        set_checked(found.Get(i), name, value);
    return found.GetN();
}

Json set_attribute(const Json &request)
{
    std::string path = request.Text("path"), value = request.Text("value");
    if (path[0] == '/')
        return Json::Of(set_objects(path, value));
    if (is_default(path))
        set_default(path, value);
    else
        set_global(path, value);
    return Json::Of(1);
}

static std::string get_default(const std::string &path)
{
    TypeId::AttributeInformation info =
        find_attribute(type_of_default(path), name_of_default(path));
    return info.initialValue->SerializeToString(info.checker);
}

static std::string get_global(const std::string &name)
{
    StringValue value;
    check_global(name);
    GlobalValue::GetValueByName(name, value);
    return value.Get();
}

static Json get_objects(const std::string &path)
{
    std::string name;
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

Json get_attribute(const Json &request)
{
    std::string path = request.Text("path");
    if (path[0] == '/')
        return get_objects(path);
    return Json::Array().Add(Json::Of(is_default(path) ? get_default(path) : get_global(path)));
}

} // namespace qn
