#include "common/rpc/grpc_status.h"

#include <gtest/gtest.h>

namespace dfs {
namespace {

TEST(GrpcStatus, CarriesAnErrorExactly) {
  for (const Errc code : {Errc::stale_epoch, Errc::busy, Errc::wrong_cluster, Errc::no_space}) {
    const Error back = from_grpc(to_grpc(Error{code, "a sentence"}));
    EXPECT_EQ(back.code, code);
    EXPECT_EQ(back.text, "a sentence");
  }
  EXPECT_TRUE(to_grpc(Result<void>{}).ok());
}

TEST(GrpcStatus, ReducesGrpcsOwnWordsToTheCause) {
  const Error error = from_grpc(
      {grpc::StatusCode::UNAVAILABLE,
       "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Failed to "
       "connect to remote host: Connection refused"});
  EXPECT_EQ(error.code, Errc::unavailable);
  EXPECT_EQ(error.text, "Connection refused");
}

TEST(GrpcStatus, DoesNotBelieveDetailsThatAreNoError) {
  const Error error = from_grpc({grpc::StatusCode::DEADLINE_EXCEEDED, "late", "\xff\xff"});
  EXPECT_EQ(error.code, Errc::timed_out);
  EXPECT_EQ(error.text, "late");
}

}  // namespace
}  // namespace dfs
