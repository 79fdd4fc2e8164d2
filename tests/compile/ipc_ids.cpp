// What both ends must agree on, whatever compiler and standard library they were made with: the numbers of types.
#include <sluice/ipc.hpp>

#include <array>
#include <chrono>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace shop {

struct order {
    int id;
    double price;
};
template <class T>
struct box {
    T content;
};
enum class colour : short {};

}  // namespace shop

using sluice::ipc::detail::type_id;

static_assert(type_id<bool>() == 0xcd2fd49bc6b014bdu);
static_assert(type_id<char>() == 0xf2a393910b5b3ebdu);
static_assert(type_id<std::byte>() == 0x6828a99c1e3216ffu);
static_assert(type_id<wchar_t>() == 0xa2d50ead22c01c3eu);
static_assert(type_id<char16_t>() == 0x797f2ad40ca138a2u);
static_assert(type_id<std::int8_t>() == 0x692b3a9c57aeedd4u);
static_assert(type_id<std::int32_t>() == 0x0c3ae58136e10f71u);
static_assert(type_id<long long>() == 0x7ffc39edba1888fdu);
static_assert(type_id<std::uint64_t>() == 0xa3c7306e8343acaeu);
static_assert(type_id<float>() == 0xcca74b8ff5b764b9u);
static_assert(type_id<double>() == 0xcd2d169caa770838u);
static_assert(type_id<std::string>() == 0x704be0d8faaffc58u);
static_assert(type_id<std::u16string>() == 0x5a2bf010e78995cau);
static_assert(type_id<std::vector<std::int32_t>>() == 0x02c9538057e14b45u);
static_assert(type_id<std::vector<std::string>>() == 0x0a5bff8b00bce518u);
static_assert(type_id<std::optional<std::string>>() == 0xacff871bcf5b4b3fu);
static_assert(type_id<std::variant<bool, std::string>>() == 0xa4815cc6de06e720u);
static_assert(type_id<std::array<std::int64_t, 3>>() == 0xf04c2c56c8f6aa21u);
static_assert(type_id<std::complex<double>>() == 0x400b182301c725b3u);
static_assert(type_id<std::chrono::milliseconds>() == 0x66676d258b6d1d65u);
static_assert(type_id<std::map<std::string, long>>() == 0x789ddb16d1042cfeu);
static_assert(type_id<shop::order>() == 0x189a790ad85a634bu);
static_assert(type_id<std::vector<shop::order>>() == 0xe3d9cc6f2a760c61u);
static_assert(type_id<shop::box<std::string>>() == 0xdff2a62085e74eccu);
static_assert(type_id<shop::colour>() == 0x152d9f3743d84e89u);
static_assert(type_id<sluice::ipc::shared_bytes>() == 0x1b04a680b6dceb1fu);

int main() {}
