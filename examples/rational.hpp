// Rational numbers, in lowest terms, as coefficients of power series.
#pragma once

#include <numeric>
#include <string>

namespace example {

class rational {
public:
    rational(long long top = 0, long long bottom = 1)
        : top_(top / std::gcd(top, bottom)), bottom_(bottom / std::gcd(top, bottom)) {}

    friend rational operator+(rational a, rational b) {
        const long long common = std::lcm(a.bottom_, b.bottom_);
        return {a.top_ * (common / a.bottom_) + b.top_ * (common / b.bottom_), common};
    }
    friend rational operator*(rational a, rational b) {
        const rational x{a.top_, b.bottom_};  // cancelled crosswise, so that the products stay small
        const rational y{b.top_, a.bottom_};
        return {x.top_ * y.top_, x.bottom_ * y.bottom_};
    }
    [[nodiscard]] std::string text() const {
        return std::to_string(top_) + (bottom_ == 1 ? "" : "/" + std::to_string(bottom_));
    }

private:
    long long top_, bottom_;
};

}  // namespace example
