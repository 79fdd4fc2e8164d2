// The smallest program that needs the client of NATS: no server is there, and it is told which.
#include <sluice/nats.hpp>
#include <sluice/version.hpp>

#include <cstdio>
#include <string>
#include <system_error>

int main() {
    const std::string nobody = "nats://127.0.0.1:1";
    try {
        const sluice::nats::connection bus(nobody);
        std::puts("somebody is there");
    } catch (const std::system_error& e) {
        const bool names_it = std::string(e.what()).find(nobody) != std::string::npos;
        std::printf("sluice %d.%d.%d found %s\n", sluice::version_major, sluice::version_minor, sluice::version_patch,
                    names_it ? "no server" : e.what());
    }
}
