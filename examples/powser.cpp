// Power series as processes, after McIlroy's "Squinting at power series": each series is a thread that sends one
// coefficient after the other over a rendezvous, so none is computed before somebody wants the one before it.
#include "args.hpp"
#include "checked.hpp"
#include "rational.hpp"

#include <sluice/sluice.hpp>

#include <cstdio>
#include <string>
#include <thread>
#include <vector>

using example::rational;

// A series is dropped from the last member to the first: without a receiver the process ends, and then it is joined.
struct series {
    std::jthread process;
    sluice::receiver<rational> terms;
};

template <class Body>
series start(Body body) {
    auto [tx, rx] = sluice::rendezvous<rational>();
    return {std::jthread([out = std::move(tx), body = std::move(body)] { body(out); }), std::move(rx)};
}

// first + rest x + rest x^2 + ...
series repeat(rational first, rational rest) {
    return start([first, rest](const sluice::sender<rational>& out) {
        for (rational term = first; out.send(term); term = rest) {
        }
    });
}

series operator+(series f, series g) {
    return start([f = std::move(f), g = std::move(g)](const sluice::sender<rational>& out) {
        for (auto a = f.terms.recv(), b = g.terms.recv(); a && b && out.send(*a + *b);) {
            a = f.terms.recv();
            b = g.terms.recv();
        }
    });
}

series square(series f) {
    return start([f = std::move(f)](const sluice::sender<rational>& out) {
        std::vector<rational> known;
        for (rational term : f.terms) {
            known.push_back(term);
            rational sum;
            for (std::size_t n = 0; n < known.size(); ++n) sum = sum + known[n] * known[known.size() - 1 - n];
            if (!out.send(sum)) return;
        }
    });
}

// The solution of X' = f(X), X(0) = first: a process that feeds on the terms which it has sent so far.
template <class Function>
series solve(rational first, Function f) {
    auto [tx, rx] = sluice::unbounded<rational>();
    return start([back = std::move(tx), slope = f(series{{}, rx}), first](const sluice::sender<rational>& out) {
        rational term = first;
        for (long long n = 1; out.send(term) && back.send(term); ++n) {
            const auto next = slope.terms.recv();
            if (!next) break;
            term = *next * rational{1, n};
        }
        back.close();  // the loop of processes is cut here, so that it can be taken down
    });
}

bool show(const char* name, const series& f, std::size_t terms, const std::string& expected) {
    std::string text;
    for (std::size_t n = 0; n < terms; ++n) text += (n == 0 ? "" : " ") + f.terms.recv().value().text();
    std::printf("%s: %s\n", name, text.c_str());
    return text.starts_with(expected);
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Computes the first coefficients of some power series, each with a net of threads.");
    const auto terms = args.number("terms", 10, "coefficients of each series; the first ten are checked", 10, 15);
    args.finish();

    const auto same = [](series x) { return x; };
    const auto one_and_square = [](series x) { return repeat(1, 0) + square(std::move(x)); };
    const bool sum = show("1/(1-x) + 1", repeat(1, 1) + repeat(1, 0), terms, "2 1 1 1 1 1 1 1 1 1");
    const bool product = show("1/(1-x)^2", square(repeat(1, 1)), terms, "1 2 3 4 5 6 7 8 9 10");
    const bool exp = show("exp", solve(1, same), terms, "1 1 1/2 1/6 1/24 1/120 1/720 1/5040 1/40320 1/362880");
    const bool tan = show("tan", solve(0, one_and_square), terms, "0 1 0 1/3 0 2/15 0 17/315 0 62/2835");
    return example::checked(sum && product && exp && tan, "the coefficients are right");
}
