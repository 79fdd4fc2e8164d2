// Who may connect, by which secret, and to whom: what works, and what is said where it does not; never the secrets.
#include "identities.hpp"

namespace {

using namespace test;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// True where there is no openssl, after having said so.
bool lacks_openssl() {
    if (!has_openssl) SUCCEED("skipped, for lack of openssl");
    return !has_openssl;
}

nats::connection_options trusting(const authority& ca) {
    return {.ca_file = ca.file(), .connect_timeout = 10s, .reconnect_wait = 20ms};
}

std::vector<std::string> over_tls(const authority::identity& self) {
    return {"--tls", "--tlscert", self.certificate, "--tlskey", self.key};
}
std::vector<std::string> over_tls_with_clients(const authority::identity& self, const authority& ca) {
    std::vector<std::string> words = over_tls(self);
    words.insert(words.end(), {"--tlsverify", "--tlscacert", ca.file()});
    return words;
}

/// Opens and closes; what it throws, in words.
std::string refusal(const std::string& url, const nats::connection_options& chosen) {
    return words_of([&] { const nats::connection bus(url, chosen); });
}

bool carries(const nats::connection& bus) {
    const auto rx = bus.receiver<int>("carries");
    return bus.sender<int>("carries").send(7) && soon(rx) == 7;
}

}  // namespace

TEST_CASE("over TLS messages of all sizes, requests and streams travel, and go on after an outage") {
    if (lacks_openssl()) return;
    const authority ca;
    server one(over_tls(ca.vouch_for("server", "IP:127.0.0.1")));
    const nats::connection bus(one.url(), trusting(ca)), other(one.url(), trusting(ca));
    const auto there = other.receiver<std::string>("there"), here = bus.receiver<std::string>("here");
    const auto to_there = bus.sender<std::string>("there"), to_here = other.sender<std::string>("here");
    const int count = scaled(2000);
    const auto text = [](int i) {
        return std::string(i % 100 == 0 ? 1'000'000 : static_cast<std::size_t>(i), static_cast<char>('a' + i % 26));
    };
    const auto send_all = [&](const sluice::sender<std::string>& tx) {
        for (int i = 0; i < count; ++i) {
            if (!tx.send(text(i))) return false;
        }
        return true;
    };
    task forth([&] { return send_all(to_there); }), back([&] { return send_all(to_here); });
    int right = 0;
    for (int i = 0; i < count; ++i) right += soon(there) == text(i) && soon(here) == text(i);
    CHECK(right == count);
    CHECK(forth.get());
    CHECK(back.get());

    const auto calls = other.service<int, int>("double");
    task serves([&] {
        auto c = soon(calls);
        return c && c->reply(2 * c->request());
    });
    CHECK(bus.request<int>("double", 21, patience) == 42);
    CHECK(serves.get());

    const auto stream = bus.stream("SAFE", {.subjects = {"safe.>"}});
    const auto kept = stream.sender<int>("safe.x");
    REQUIRE(kept.send(1));
    REQUIRE(stream.flush(patience));
    one.kill();
    one.start();
    REQUIRE(kept.send(2));
    CHECK(stream.flush(patience));
    const auto work = other.stream("SAFE").receiver<int>({.durable = "w"});
    for (int i = 1; i <= 2; ++i) {
        auto d = soon(work);
        REQUIRE(d);
        CHECK(**d == i);
        CHECK(d->ack(patience));
    }
}

TEST_CASE("a server that nobody vouches for, or for another name, or that does not encrypt, is refused") {
    if (lacks_openssl()) return;
    const authority ca, stranger;
    const auto self = ca.vouch_for("server", "IP:127.0.0.1");
    {
        const server one(over_tls(self));
        CHECK(refusal(one.url(), trusting(ca)).empty());
        for (const auto& chosen :
             {nats::connection_options{}, nats::connection_options{.tls = true}, trusting(stranger)}) {
            const std::string said = refusal(one.url(), chosen);
            CHECK(has(said, one.url()));
            CHECK(has(said, "certificate"));
        }
    }
    {
        const server elsewhere(over_tls(ca.vouch_for("elsewhere", "IP:127.0.0.2")));
        const std::string said = refusal(elsewhere.url(), trusting(ca));
        CHECK(has(said, elsewhere.url()));
        CHECK(has(said, "mismatch"));
    }
    {
        const server open;
        const std::string said = refusal(open.url(), {.tls = true});
        CHECK(has(said, open.url()));
        CHECK(has(said, "Secure"));
        CHECK(has(refusal(open.url(), trusting(ca)), "Secure"));
    }
}

TEST_CASE("a client shows its certificate where the server asks for one") {
    if (lacks_openssl()) return;
    const authority ca, stranger;
    const server one(over_tls_with_clients(ca.vouch_for("server", "IP:127.0.0.1"), ca));
    auto chosen = trusting(ca);
    const auto shows = [&](const authority::identity& self) {
        chosen.certificate_file = self.certificate;
        chosen.key_file = self.key;
    };
    const std::string nobody = refusal(one.url(), chosen);
    CHECK(has(nobody, one.url()));
    shows(stranger.vouch_for("client", "DNS:client"));
    CHECK(has(refusal(one.url(), chosen), one.url()));
    const auto self = ca.vouch_for("client", "DNS:client");
    shows(self);
    CHECK(carries(nats::connection(one.url(), chosen)));
    // The key of another certificate, and files that are not there.
    chosen.key_file = ca.vouch_for("other", "DNS:other").key;
    CHECK(has(refusal(one.url(), chosen), chosen.key_file));
    chosen.key_file = "/nowhere/key.pem";
    CHECK(has(refusal(one.url(), chosen), "/nowhere/key.pem"));
    shows(self);
    chosen.ca_file = "/nowhere/ca.pem";
    CHECK(has(refusal(one.url(), chosen), "/nowhere/ca.pem"));
}

TEST_CASE("a user with a password, in the options or in the URL, and wrong ones") {
    const server strict({"--user", "ann", "--pass", "s3cret"});
    CHECK(carries(nats::connection(strict.url(), {.user = "ann", .password = "s3cret"})));
    CHECK(carries(nats::connection(strict.url("ann:s3cret"))));
    for (const auto& [url, chosen] : std::vector<std::pair<std::string, nats::connection_options>>{
             {strict.url(), {}},
             {strict.url(), {.user = "ann", .password = "wr0ng"}},
             {strict.url(), {.user = "bob", .password = "s3cret"}},
             {strict.url(), {.token = "s3cret"}},
             {strict.url("ann:wr0ng"), {}},
             {strict.url("ann:wr0ng"), {.user = "ann", .password = "s3cret"}}}) {
        const std::string said = refusal(url, chosen);
        CHECK(has(said, strict.url()));
        CHECK(has(said, "Authorization"));
        CHECK(!has(said, "s3cret"));
        CHECK(!has(said, "wr0ng"));
    }
}

TEST_CASE("a token, in the options or in the URL, and wrong ones") {
    const server strict({"--auth", "s3cret"});
    CHECK(carries(nats::connection(strict.url(), {.token = "s3cret"})));
    CHECK(carries(nats::connection(strict.url("s3cret"))));
    for (const auto& [url, chosen] : std::vector<std::pair<std::string, nats::connection_options>>{
             {strict.url(), {.token = "wr0ng"}}, {strict.url("wr0ng"), {}}, {strict.url("ann:s3cret"), {}}}) {
        const std::string said = refusal(url, chosen);
        CHECK(has(said, strict.url()));
        CHECK(has(said, "Authorization"));
        CHECK(!has(said, "s3cret"));
        CHECK(!has(said, "wr0ng"));
    }
}

TEST_CASE("a file of credentials, that of a stranger, and files that are none") {
    if (lacks_openssl()) return;
    const operators own, strangers;
    const text_file configuration(own.configuration());
    const server strict({"-c", configuration.name()});
    const std::string secrets = own.credentials();
    const text_file right(secrets), wrong(strangers.credentials()), garbled("no credentials\n");
    CHECK(carries(nats::connection(strict.url(), {.credentials_file = right.name()})));
    for (const std::string& file : {std::string(), wrong.name()}) {
        const std::string said = refusal(strict.url(), {.credentials_file = file});
        CHECK(has(said, strict.url()));
        CHECK(has(said, "Authorization"));
        CHECK(!has(said, "SU"));
    }
    for (const std::string& file : {garbled.name(), std::string("/nowhere/user.creds")}) {
        const std::string said = refusal(strict.url(), {.credentials_file = file});
        CHECK(has(said, strict.url()));
        CHECK(has(said, file));
    }
    // The right claims with the seed of another key.
    const std::string other = own.credentials(), seed = "-----BEGIN USER NKEY SEED";
    const text_file mixed(secrets.substr(0, secrets.find(seed)) + other.substr(other.find(seed)));
    CHECK(has(refusal(strict.url(), {.credentials_file = mixed.name()}), "Authorization"));
}
