#include "common/rpc/pending_requests.h"

#include <gtest/gtest.h>

#include "common/rpc/frame.h"
#include "common/rpc/protocol.h"

namespace dfs {
namespace {

class PendingRequestsTest : public testing::Test {
 protected:
  PendingRequestPtr add(const MetaArgs& args) {
    auto request = std::make_shared<PendingRequest>(args, Caller{7, 8});
    pending_.add(request);
    return request;
  }
  v1::ClientFrame frame() {
    v1::ClientFrame frame;
    grpc::ByteBuffer bytes;
    if (pending_.next_frame(bytes)) {
      EXPECT_TRUE(parse_message(bytes, frame));
    }
    return frame;
  }
  const MetaArgs read_ = GetAttrArgs{InodeId{1}};
  const MetaArgs write_ = UnlinkArgs{InodeId{1}, "a"};
  PendingRequests pending_;
};

TEST_F(PendingRequestsTest, CombinesWhatWaitsIntoOneFrame) {
  add(read_);
  add(write_);
  add(write_);
  const v1::ClientFrame sent = frame();
  ASSERT_EQ(sent.requests_size(), 3);
  EXPECT_EQ(sent.requests(0).sequence(), 0u);
  EXPECT_EQ(sent.requests(1).sequence(), 1u);
  EXPECT_EQ(sent.requests(2).sequence(), 2u);
  EXPECT_EQ(sent.requests(1).unlink().name(), "a");
  EXPECT_EQ(sent.requests(1).uid(), 7u);
  EXPECT_EQ(sent.requests(1).gid(), 8u);
  EXPECT_EQ(frame().requests_size(), 0);
}

TEST_F(PendingRequestsTest, LimitsTheRequestsOfAFrame) {
  for (std::size_t i = 0; i < kRequestsPerFrameMax + 1; ++i) add(read_);
  EXPECT_EQ(frame().requests_size(), static_cast<int>(kRequestsPerFrameMax));
  EXPECT_EQ(frame().requests_size(), 1);
}

TEST_F(PendingRequestsTest, SaysUpToWhereAnswersHaveCome) {
  const auto first = add(write_);
  const auto second = add(write_);
  EXPECT_EQ(frame().answered_through(), 0u);
  pending_.take(second->id);
  add(read_);
  EXPECT_EQ(frame().answered_through(), 0u) << "the first one is missing";
  pending_.take(first->id);
  add(read_);
  EXPECT_EQ(frame().answered_through(), 2u);
}

TEST_F(PendingRequestsTest, RepeatsInOrderWithTheSameSequences) {
  add(write_);
  const auto answered = add(write_);
  add(read_);
  frame();
  pending_.take(answered->id);
  add(write_);
  EXPECT_TRUE(pending_.resume().empty());
  const v1::ClientFrame again = frame();
  ASSERT_EQ(again.requests_size(), 3);
  EXPECT_EQ(again.requests(0).sequence(), 1u);
  EXPECT_EQ(again.requests(1).sequence(), 0u);
  EXPECT_EQ(again.requests(2).sequence(), 3u);
}

TEST_F(PendingRequestsTest, AfterALossOnlyWhatWasSentIsInDoubt) {
  const auto sent = add(write_);
  const auto read = add(read_);
  frame();
  const auto unsent = add(write_);
  const PendingRequests::Restart restart = pending_.restart();
  ASSERT_EQ(restart.in_doubt.size(), 1u);
  EXPECT_EQ(restart.in_doubt[0], sent);
  const v1::ClientFrame again = frame();
  ASSERT_EQ(again.requests_size(), 2);
  EXPECT_EQ(again.requests(0).id(), read->id);
  EXPECT_EQ(again.requests(1).id(), unsent->id);
  EXPECT_EQ(again.requests(1).sequence(), 1u) << "a new session counts anew";
  EXPECT_EQ(again.answered_through(), 0u);
}

TEST_F(PendingRequestsTest, KnowsHowManyChangesWereToldUnderThisSession) {
  const auto first = add(write_);
  const auto second = add(write_);
  frame();
  pending_.succeeded(*first, 2);
  pending_.succeeded(*second, 1);
  EXPECT_EQ(pending_.changes_told(), 2u);
  pending_.restart();
  EXPECT_EQ(pending_.changes_told(), 0u);
}

TEST_F(PendingRequestsTest, ForgetsWhatWasAbandonedBeforeItWasSent) {
  const auto abandoned = add(write_);
  const auto kept = add(write_);
  pending_.abandon(abandoned);
  const v1::ClientFrame sent = frame();
  ASSERT_EQ(sent.requests_size(), 1);
  EXPECT_EQ(sent.requests(0).id(), kept->id);
  EXPECT_EQ(sent.requests(0).sequence(), 1u);
  pending_.abandon(kept);
  EXPECT_EQ(pending_.size(), 1u) << "it was sent and may happen";
}

TEST_F(PendingRequestsTest, DoesNotRepeatReleasesThatTheGreetingCovers) {
  add(ReleaseArgs{InodeId{1}, 1});
  pending_.mark_releases_stale();
  const auto later = add(ReleaseArgs{InodeId{2}, 1});
  EXPECT_EQ(pending_.resume().size(), 1u);
  const v1::ClientFrame sent = frame();
  ASSERT_EQ(sent.requests_size(), 1);
  EXPECT_EQ(sent.requests(0).id(), later->id);
}

TEST_F(PendingRequestsTest, KnowsNoAnswerToWhatWasNotSent) {
  const auto request = add(read_);
  EXPECT_EQ(pending_.take(request->id), nullptr);
  EXPECT_EQ(pending_.take(999), nullptr);
  frame();
  EXPECT_EQ(pending_.take(request->id), request);
}

}  // namespace
}  // namespace dfs
