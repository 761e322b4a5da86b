// What a list says, by itself.
#include "server/meta/ops/acl.h"

#include <gtest/gtest.h>

#include "tests/unit/server/meta/ops/acl_values.h"

namespace dfs::ops {
namespace {

Acl parsed(std::initializer_list<AclEntry> entries) {
  Result<Acl> result = Acl::parse(acl(entries));
  EXPECT_TRUE(result) << result.error().to_string();
  return result ? *std::move(result) : Acl{};
}

Errc refusal_of(const std::string& value) {
  const Result<Acl> result = Acl::parse(value);
  return result ? Errc::ok : result.error().code;
}
Errc refusal_of(std::initializer_list<AclEntry> entries) { return refusal_of(acl(entries)); }

TEST(Acl, ComesBackAsItWasGiven) {
  const std::string whole =
      acl({owner(7), user(0, 6), user(1000, 5), owning_group(4), group(0x01020304, 3), mask(2), others(1)});
  const Result<Acl> list = Acl::parse(whole);
  ASSERT_TRUE(list);
  EXPECT_EQ(list->to_value(), whole);
}

TEST(Acl, IsWrittenInTheFormOfTheKernel) {
  const std::string bytes("\x02\0\0\0" "\x01\0\x06\0\xff\xff\xff\xff" "\x02\0\x05\0\xe8\x03\0\0"
                          "\x04\0\x04\0\xff\xff\xff\xff" "\x10\0\x07\0\xff\xff\xff\xff"
                          "\x20\0\0\0\xff\xff\xff\xff", 44);
  EXPECT_EQ(acl({owner(6), user(1000, 5), owning_group(4), mask(7), others(0)}), bytes);
  EXPECT_EQ(refusal_of(bytes), Errc::ok);
}

TEST(Acl, ShowsTheMaskAsTheGroupOfAMode) {
  EXPECT_EQ(parsed({owner(7), owning_group(5), others(4)}).mode_bits(), 0754U);
  EXPECT_EQ(parsed({owner(6), user(5, 7), owning_group(7), mask(4), others(0)}).mode_bits(), 0640U);
}

TEST(Acl, IsMinimalWithoutAMask) {
  EXPECT_TRUE(parsed({owner(7), owning_group(5), others(4)}).is_minimal());
  EXPECT_FALSE(parsed({owner(7), owning_group(5), mask(5), others(4)}).is_minimal());
}

TEST(Acl, FollowsAMode) {
  Acl masked = parsed({owner(7), user(5, 7), owning_group(5), mask(7), others(4)});
  masked.set_mode_bits(0102640);
  EXPECT_EQ(masked.to_value(), acl({owner(6), user(5, 7), owning_group(5), mask(4), others(0)}));
  Acl minimal = parsed({owner(7), owning_group(7), others(7)});
  minimal.set_mode_bits(0640);
  EXPECT_EQ(minimal.to_value(), acl({owner(6), owning_group(4), others(0)}));
}

TEST(Acl, GrantsNoMoreThanAModeThatRestrictsIt) {
  Acl list = parsed({owner(7), user(5, 7), owning_group(7), mask(6), others(1)});
  list.restrict_to(0655);
  EXPECT_EQ(list.to_value(), acl({owner(6), user(5, 7), owning_group(7), mask(4), others(1)}));
  EXPECT_EQ(list.mode_bits(), 0641U);
}

TEST(Acl, IsRefusedIfItsEntriesDoNotFitTogether) {
  EXPECT_EQ(refusal_of({}), Errc::invalid);
  EXPECT_EQ(refusal_of({owner(7), others(4)}), Errc::invalid) << "no owning group";
  EXPECT_EQ(refusal_of({owner(7), owner(7), owning_group(5), others(4)}), Errc::invalid);
  EXPECT_EQ(refusal_of({owning_group(5), owner(7), others(4)}), Errc::invalid) << "out of order";
  EXPECT_EQ(refusal_of({owner(7), user(5, 7), owning_group(5), others(4)}), Errc::invalid)
      << "a user without a mask";
  EXPECT_EQ(refusal_of({owner(7), owning_group(5), mask(7), mask(7), others(4)}), Errc::invalid);
  EXPECT_EQ(refusal_of({owner(8), owning_group(5), others(4)}), Errc::invalid);
  EXPECT_EQ(refusal_of({owner(7), user(0xffffffff, 7), owning_group(5), mask(7), others(4)}),
            Errc::invalid)
      << "nobody in particular";
  EXPECT_EQ(refusal_of({owner(7), owning_group(5), others(4), {0x40, 7}}), Errc::invalid);
}

TEST(Acl, IsRefusedIfItsBytesAreNoList) {
  const std::string whole = acl({owner(7), owning_group(5), others(4)});
  for (std::size_t length = 0; length < whole.size(); ++length)
    EXPECT_EQ(refusal_of(whole.substr(0, length)), Errc::invalid) << length;
  EXPECT_EQ(refusal_of(whole + "x"), Errc::invalid);
  EXPECT_EQ(refusal_of(acl({owner(7), owning_group(5), others(4)}, 3)), Errc::unsupported);
}

TEST(Acl, HasALengthThatKernelsTake) {
  const auto with_users = [](std::uint32_t count) {
    std::string value = acl({owner(7)});
    for (std::uint32_t id = 0; id < count; ++id) value += acl({user(id, 7)}).substr(4);
    return value + acl({owning_group(7), mask(7), others(7)}).substr(4);
  };
  EXPECT_EQ(refusal_of(with_users(507)), Errc::ok);
  EXPECT_EQ(refusal_of(with_users(508)), Errc::too_big);
}

}  // namespace
}  // namespace dfs::ops
