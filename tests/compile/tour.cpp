// The tour as a program.
#include "tour.hpp"

int main() { tour::everything(); }
