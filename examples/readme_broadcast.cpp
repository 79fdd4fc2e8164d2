// The README's example of a broadcast: one subscriber that gets everything, and one that is content with the newest.
#include <sluice/sluice.hpp>

#include <iostream>

int main() {
    // README begin
    sluice::broadcaster<int> prices;
    auto all = prices.subscribe();                                      // unbounded: misses nothing
    auto newest = prices.subscribe(1, sluice::overflow::drop_oldest);   // never more than one message behind
    for (int price = 1; price <= 3; ++price) (void)prices.send(price);  // returns how many it reached
    prices = {};  // the last broadcaster has gone: subscribers get what waits for them, then their loops end
    // README end

    for (int price : all) std::cout << "all: " << price << '\n';
    for (int price : newest) std::cout << "newest: " << price << '\n';
}
