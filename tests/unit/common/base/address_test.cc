#include "common/base/address.h"

#include <gtest/gtest.h>

namespace dfs {
namespace {

TEST(Address, IsReadAsHostAndPort) {
  const auto address = parse_address("storage-1.example:7400");
  ASSERT_TRUE(address);
  EXPECT_EQ(address->host, "storage-1.example");
  EXPECT_EQ(address->port, 7400);
  EXPECT_FALSE(address->is_unix());
}

TEST(Address, IsWrittenAsItWasRead) {
  for (const char* text : {"127.0.0.1:7400", "[::1]:65535", "host:1", "unix:/run/dfs/meta.sock"}) {
    const auto address = parse_address(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
}

TEST(Address, WithoutMeaningIsRefusedInWordsThatNameIt) {
  for (const char* text : {"", "host", "host:", ":7400", "host:65536", "host:-1", "host:7x", "::1:7400",
                           "[]:1", "a b:1", "host:1\n", "unix:", "unix:relative", "host:0", "99999999999:99999999999"}) {
    const auto address = parse_address(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().code, Errc::invalid) << text;
    EXPECT_NE(address.error().text.find("\"" + std::string(text) + "\""), std::string::npos);
    EXPECT_NE(address.error().text.find("host:port"), std::string::npos);
  }
}

TEST(Address, LeavesThePortToTheKernelOnlyForListeners) {
  EXPECT_TRUE(parse_address("127.0.0.1:0", AddressUse::listen));
  EXPECT_FALSE(parse_address("127.0.0.1:0", AddressUse::connect));
}

TEST(Address, OfASocketFileIsNotLongerThanTheKernelTakes) {
  EXPECT_TRUE(parse_address("unix:/" + std::string(106, 'a')));
  EXPECT_FALSE(parse_address("unix:/" + std::string(107, 'a')));
}

}  // namespace
}  // namespace dfs
