// What ranges are. The words of <ranges>, which takes as long to compile as a third of this library, by what <iterator>
// and <string_view> have of it: std::ranges::begin, end and enable_view.
#pragma once

#include <concepts>
#include <iterator>
#include <string_view>
#include <type_traits>
#include <utility>

namespace sluice::detail {

template <class R>
concept range = requires(R& r) {
    std::ranges::begin(r);
    std::ranges::end(r);
};
template <class R>
using iterator_of = decltype(std::ranges::begin(std::declval<R&>()));
template <class R>
using sentinel_of = decltype(std::ranges::end(std::declval<R&>()));
template <class R>
using reference_of = std::iter_reference_t<iterator_of<R>>;

template <class R>
concept input_range = range<R> && std::input_iterator<iterator_of<R>>;
template <class R>
concept forward_range = range<R> && std::forward_iterator<iterator_of<R>>;
// Whether the iterators of an R that is given up are still good when it has gone.
template <class R>
concept borrowed_range = range<R> && requires(R&& r) {
    std::ranges::begin(std::forward<R>(r));
};
template <class R>
concept view = range<R> && std::movable<R> && std::ranges::enable_view<R>;

}  // namespace sluice::detail
