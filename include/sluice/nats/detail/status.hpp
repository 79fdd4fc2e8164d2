// How what the NATS client and the servers report is thrown, and what a subject may be.
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <string>
#include <string_view>
#include <system_error>

#include <nats/nats.h>

#include <sluice/nats/error.hpp>

namespace sluice::nats::detail {

inline std::error_code code_of(int status) noexcept { return {status, category()}; }

inline std::system_error error_for(int status, const std::string& what, const std::string& words = {}) {
    return std::system_error(code_of(status), "sluice: " + what + (words.empty() ? "" : ": " + words));
}
[[noreturn]] inline void fail(int status, const std::string& what, const std::string& words = {}) {
    throw error_for(status, what, words);
}

// What the client noted of the last call of this thread that failed, without the place in its source.
inline std::string last_words() {
    const char* const text = ::nats_GetLastError(nullptr);
    std::string words = text ? text : "";
    if (words.starts_with('(')) words.erase(0, (std::min)(words.size(), words.find("): ") + 3));
    return words;
}

inline void check(natsStatus s, const std::string& what) {
    if (s != NATS_OK) fail(s, what, last_words());
}

// Dots separate tokens, of which none is empty; what the protocol separates words by is in none. `*` and a last `>` are
// wildcards, which only a subscription may have.
inline bool is_subject(std::string_view subject, bool wildcards) noexcept {
    if (subject.empty()) return false;
    for (std::string_view rest = subject;;) {
        const std::size_t dot = rest.find('.');
        const std::string_view token = rest.substr(0, dot);
        if (token.empty()) return false;
        for (const char c : token) {
            if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') return false;
        }
        const bool wild = token == "*" || token == ">";
        if (wild && (!wildcards || (token == ">" && dot != std::string_view::npos))) return false;
        if (dot == std::string_view::npos) return true;
        rest.remove_prefix(dot + 1);
    }
}

// Whether all subjects that `subject` stands for are among those of `pattern`; both may have wildcards.
inline bool covers(std::string_view pattern, std::string_view subject) noexcept {
    for (;;) {
        const std::size_t p = pattern.find('.'), s = subject.find('.');
        const std::string_view wanted = pattern.substr(0, p), token = subject.substr(0, s);
        if (wanted == ">") return true;
        if (wanted != token && (wanted != "*" || token == ">")) return false;
        if (p == std::string_view::npos || s == std::string_view::npos) return p == s;
        pattern.remove_prefix(p + 1);
        subject.remove_prefix(s + 1);
    }
}

// What the client writes into JSON as it is.
inline bool is_plain_text(std::string_view text) noexcept {
    return text.find_first_of("\"\\") == std::string_view::npos;
}

// Names of streams and of their receivers are tokens of subjects, and stand in JSON.
inline bool is_name(std::string_view name) noexcept {
    return is_subject(name, false) && name.find('.') == std::string_view::npos && is_plain_text(name);
}
inline void check_stored_subject(const std::string& subject, const std::string& what) {
    if (!is_subject(subject, true) || !is_plain_text(subject))
        fail(NATS_INVALID_SUBJECT, what, "\"" + subject + "\" is no subject");
}

inline void check_subject(const std::string& subject, bool wildcards) {
    if (!is_subject(subject, wildcards))
        fail(NATS_INVALID_SUBJECT, "\"" + subject + "\" is no subject to " + (wildcards ? "receive from" : "send to"));
}

}  // namespace sluice::nats::detail
