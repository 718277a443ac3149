// SPDX-License-Identifier: MIT
// ns-3's attributes by their paths, as in its own configuration: of objects ("/NodeList/*/..."),
// defaults of a type
// ("ns3::Type::Name"), global values ("Name"). All that would end the simulation there is a Problem
// here.
#ifndef QN_NS3_ATTRIBUTES_HH
#define QN_NS3_ATTRIBUTES_HH

#include "json.hh"

#include <functional>
#include <ns3/config.h>
#include <ns3/object.h>

namespace qn
{

// { path, value } -> how many it was set of: all that the path leads to, or none.
Json set_attribute(const Json &request);
// { path } -> the texts of the values, one for each that the path leads to.
Json get_attribute(const Json &request);

// The objects that the path of an attribute or trace source leads to, which is split at its last
// "/"; not none.
ns3::Config::MatchContainer find_objects(const std::string &path, std::string *name);

// Whether a trial of what may abort the simulation succeeds, in a process of its own, which may
// abort.
bool succeeds_apart(const std::function<bool()> &trial);

ns3::TypeId find_type(const std::string &name);
// What has been found to be an attribute of the type, and a value that it can have.
void set_checked(ns3::Ptr<ns3::Object> object, const std::string &name, const std::string &value);

} // namespace qn

#endif
