// Who servers and clients are, as openssl makes it: certificates of an authority of the test's own, and the signed identities
// of an operator, its accounts and their users, which a file of credentials holds.
#pragma once

#include "support.hpp"

#include <array>
#include <cstdio>
#include <span>
#include <string_view>

namespace test {

/// Whether there is an openssl; without it there are no identities, and tests with them are skipped.
#ifdef SLUICE_OPENSSL
inline constexpr bool has_openssl = true;
#else
inline constexpr bool has_openssl = false;
#define SLUICE_OPENSSL "openssl"
#endif

/// A folder for files, which goes with this object.
class folder : example::own_folder {
public:
    std::string file(const std::string& name) const { return path() + "/" + name; }
    void write(const std::string& name, std::string_view bytes) const {
        std::ofstream(file(name), std::ios::binary) << bytes;
    }
    std::string read(const std::string& name) const {
        std::ifstream from(file(name), std::ios::binary);
        return {std::istreambuf_iterator<char>(from), {}};
    }
    /// Runs openssl in this folder.
    void openssl(const std::string& words) const {
        const std::string command = "cd '" + path() + "' && " SLUICE_OPENSSL " " + words + " >said 2>&1";
        const int status = std::system(command.c_str());
        INFO(command << "\n" << read("said"));
        REQUIRE(status == 0);
    }

private:
    std::string name_;
};

/// Vouches for servers and clients, by certificates.
class authority {
public:
    authority() {
        made_.write("ca.conf",
                    "[req]\ndistinguished_name=name\nx509_extensions=ca\nprompt=no\n[name]\nCN=an authority\n"
                    "[ca]\nbasicConstraints=critical,CA:TRUE\n");
        made_.openssl("req -x509 -config ca.conf -days 2 -keyout ca.key -out ca.pem" + fresh_key);
    }
    std::string file() const { return made_.file("ca.pem"); }

    struct identity {
        std::string certificate, key;
    };
    /// Of whom is reached at `address`, such as IP:127.0.0.1.
    identity vouch_for(const std::string& name, const std::string& address) const {
        made_.write(name + ".conf", "[req]\ndistinguished_name=name\nprompt=no\n[name]\nCN=" + name + "\n");
        made_.write(name + ".ext", "subjectAltName=" + address + "\n");
        made_.openssl("req -config " + name + ".conf -keyout " + name + ".key -out " + name + ".csr" + fresh_key);
        made_.openssl("x509 -req -in " + name + ".csr -CA ca.pem -CAkey ca.key -set_serial " +
                      std::to_string(++serial_) + " -days 2 -extfile " + name + ".ext -out " + name + ".pem");
        return {made_.file(name + ".pem"), made_.file(name + ".key")};
    }

private:
    inline static const std::string fresh_key = " -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1";
    const folder made_;
    mutable int serial_ = 1;
};

/// The two ways in which NATS writes bytes as text: the one of keys, and the one of signed claims.
inline std::string digits_of(std::string_view bytes, int bits, std::string_view alphabet) {
    std::string text;
    unsigned rest = 0;
    int count = 0;
    const auto put = [&] { text += alphabet[(rest >> count) & ((1U << bits) - 1)]; };
    for (const char c : bytes) {
        rest = (rest << 8 | static_cast<unsigned char>(c)) & 0xffff;
        for (count += 8; count >= bits;) {
            count -= bits;
            put();
        }
    }
    if (count > 0) {
        rest <<= bits - count;
        count = 0;
        put();
    }
    return text;
}
inline std::string base32(std::string_view bytes) { return digits_of(bytes, 5, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"); }
inline std::string base64(std::string_view bytes) {
    return digits_of(bytes, 6, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
}

/// A key of NATS, which signs.
class nats_key {
public:
    enum class kind : unsigned { account = 0, operators = 14 << 3, user = 20 << 3 };

    explicit nats_key(kind k) : kind_(static_cast<unsigned>(k)) {
        made_.openssl("genpkey -algorithm ed25519 -out key.pem");
        made_.openssl("pkey -in key.pem -outform DER -out private");
        made_.openssl("pkey -in key.pem -pubout -outform DER -out public");
    }
    /// By which others know it.
    std::string name() const { return checked(std::string(1, static_cast<char>(kind_)) + last_of("public")); }
    /// What only its owner has.
    std::string seed() const {
        const unsigned prefix = 18 << 3;
        return checked({static_cast<char>(prefix | kind_ >> 5), static_cast<char>((kind_ & 31) << 3)},
                       last_of("private"));
    }
    /// Claims about `subject`, as a token that this key has signed. `nats` is what NATS wants to know, in JSON.
    std::string sign(const std::string& subject, const std::string& nats) const {
        const std::string text = base64(R"({"typ":"JWT","alg":"ed25519-nkey"})") + "." +
                                 base64(R"({"jti":"1","iat":1,"iss":")" + name() + R"(","name":"test","sub":")" +
                                        subject + R"(","nats":)" + nats + "}");
        made_.write("claims", text);
        made_.openssl("pkeyutl -sign -rawin -inkey key.pem -in claims -out signature");
        return text + "." + base64(made_.read("signature"));
    }

private:
    // The key itself ends what openssl writes.
    std::string last_of(const std::string& file) const {
        const std::string bytes = made_.read(file);
        REQUIRE(bytes.size() > 32);
        return bytes.substr(bytes.size() - 32);
    }
    static std::string checked(std::string bytes, const std::string& more = {}) {
        bytes += more;
        unsigned sum = 0;
        for (const char c : bytes) {
            sum ^= static_cast<unsigned>(static_cast<unsigned char>(c)) << 8;
            for (int bit = 0; bit < 8; ++bit) sum = (sum << 1 ^ (sum & 0x8000 ? 0x1021U : 0U)) & 0xffff;
        }
        return base32(bytes + static_cast<char>(sum & 0xff) + static_cast<char>(sum >> 8));
    }

    const folder made_;
    const unsigned kind_;
};

/// An operator of servers, with one account for users and one for the system.
class operators {
public:
    /// What a server is started with.
    std::string configuration() const {
        const std::string account_claims =
            R"({"limits":{"subs":-1,"data":-1,"payload":-1,"imports":-1,"exports":-1,"wildcards":true,"conn":-1,"leaf":-1},)"
            R"("type":"account","version":2})";
        return "operator: " + self_.sign(self_.name(), R"({"type":"operator","version":2})") +
               "\nsystem_account: " + system_.name() + "\nresolver: MEMORY\nresolver_preload: {\n" + account_.name() +
               ": " + self_.sign(account_.name(), account_claims) + "\n" + system_.name() + ": " +
               self_.sign(system_.name(), account_claims) + "\n}\n";
    }
    /// The text of a file of credentials, of a new user.
    std::string credentials() const {
        const nats_key user(nats_key::kind::user);
        const std::string token = account_.sign(
            user.name(), R"({"pub":{},"sub":{},"subs":-1,"data":-1,"payload":-1,"type":"user","version":2})");
        return "-----BEGIN NATS USER JWT-----\n" + token + "\n------END NATS USER JWT------\n\n" +
               "-----BEGIN USER NKEY SEED-----\n" + user.seed() + "\n------END USER NKEY SEED------\n";
    }

private:
    const nats_key self_{nats_key::kind::operators}, account_{nats_key::kind::account},
        system_{nats_key::kind::account};
};

}  // namespace test
