// SPDX-License-Identifier: MIT
// JSON values with an owner, and the reading of requests: what is missing or of another type is a
// Problem, which names it.
#ifndef QN_NS3_JSON_HH
#define QN_NS3_JSON_HH

#include <jansson.h>
#include <stdexcept>
#include <string>
#include <utility>

namespace qn
{

// What is told to who asked; the simulation goes on.
struct Problem : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Json
{
  public:
    Json() : m_value(nullptr)
    {
    }
    // Takes the reference.
    explicit Json(json_t *value) : m_value(value)
    {
    }
    Json(const Json &other) : m_value(json_incref(other.m_value))
    {
    }
    Json(Json &&other) noexcept : m_value(std::exchange(other.m_value, nullptr))
    {
    }
    Json &operator=(Json other) noexcept
    {
        std::swap(m_value, other.m_value);
        return *this;
    }
    ~Json()
    {
        json_decref(m_value);
    }

    static Json Object()
    {
        return Json(json_object());
    }
    static Json Array()
    {
        return Json(json_array());
    }
    static Json Of(double value)
    {
        return Json(json_real(value));
    }
    static Json Of(const std::string &value)
    {
        return Json(json_stringn(value.data(), value.size()));
    }
    static Json Of(const char *value)
    {
        return Json(json_string(value));
    }
    static Json Of(bool value)
    {
        return Json(json_boolean(value));
    }
    template <typename T, typename = std::enable_if_t<std::is_integral_v<T>>>
    static Json Of(T value)
    {
        return Json(json_integer(static_cast<json_int_t>(value)));
    }

    template <typename T> Json &Set(const char *key, T &&value)
    {
        json_object_set_new(m_value, key, Of(std::forward<T>(value)).Release());
        return *this;
    }
    Json &Set(const char *key, Json value)
    {
        json_object_set_new(m_value, key, value.Release());
        return *this;
    }
    Json &Add(Json value)
    {
        json_array_append_new(m_value, value.Release());
        return *this;
    }

    json_t *Get() const
    {
        return m_value;
    }
    json_t *Release()
    {
        return std::exchange(m_value, nullptr);
    }
    bool IsObject() const
    {
        return json_is_object(m_value);
    }

    bool Has(const char *key) const
    {
        return json_object_get(m_value, key) != nullptr;
    }
    // An empty object, when there is none.
    Json Part(const char *key) const
    {
        json_t *part = json_object_get(m_value, key);
        return json_is_object(part) ? Json(json_incref(part)) : Object();
    }
    std::string Text(const char *key) const
    {
        json_t *value = json_object_get(m_value, key);
        if (!json_is_string(value))
            throw Problem(std::string(key) + ": want a text");
        return AsText(value);
    }
    std::string Text(const char *key, const char *otherwise) const
    {
        return Has(key) ? Text(key) : otherwise;
    }
    double Number(const char *key) const
    {
        json_t *value = json_object_get(m_value, key);
        if (!json_is_number(value))
            throw Problem(std::string(key) + ": want a number");
        return json_number_value(value);
    }
    double Number(const char *key, double otherwise) const
    {
        return Has(key) ? Number(key) : otherwise;
    }
    bool Flag(const char *key) const
    {
        return json_is_true(json_object_get(m_value, key));
    }
    // Calls fn(name, text) for each member: attributes, by their names. Numbers and booleans become
    // text.
    template <typename Fn> void Each(Fn fn) const
    {
        const char *key;
        json_t *value;
        json_object_foreach(m_value, key, value) fn(std::string(key), AsText(value));
    }

    static std::string AsText(json_t *value)
    {
        if (json_is_string(value))
            return std::string(json_string_value(value), json_string_length(value));
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        std::string copy = text ? text : "";
        free(text);
        return copy;
    }

  private:
    json_t *m_value;
};

} // namespace qn

#endif
