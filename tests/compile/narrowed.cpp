// Each marked line converts a number to a smaller type, or to one of another sign, on its way into a channel: the
// warnings that the flags of this file ask for are given here.
#include <sluice/sluice.hpp>

#include <chrono>

void narrow(const sluice::sender<unsigned char>& bytes, const sluice::sender<unsigned>& counts, int number,
            double real) {
    using namespace std::chrono_literals;
    const auto now = std::chrono::steady_clock::now();

    (void)bytes.send(300.7);                             // narrowed
    (void)bytes.send(real);                              // narrowed
    (void)bytes.send(number);                            // narrowed
    (void)bytes.try_send(real);                          // narrowed
    (void)bytes.send_timeout(real, 1ms);                 // narrowed
    (void)bytes.send_until(number, now);                 // narrowed
    (void)sluice::select(sluice::on_send(bytes, real));  // narrowed
    (void)counts.send(number);                           // narrowed
    (void)counts.try_send(-1);                           // narrowed

    (void)bytes.send(static_cast<unsigned char>(number));
    (void)bytes.send('x');
    (void)counts.send(1u);
}
