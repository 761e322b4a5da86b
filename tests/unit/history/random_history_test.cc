// Histories of an object that does one thing after another for clients whose
// operations overlap, and the same with one answer spoilt.
#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/history/histories.h"

namespace dfs::history {
namespace {

constexpr std::size_t kClients = 4;
constexpr std::size_t kOperations = 300;
constexpr unsigned kSeeds = 60;

class Dice {
 public:
  explicit Dice(unsigned seed) : random_(seed) {}
  std::size_t below(std::size_t bound) { return random_() % bound; }
  std::string name() { return std::string(1, static_cast<char>('a' + below(3))); }

 private:
  std::mt19937 random_;
};

// The object itself: answers one operation and goes on to the next state.
using Object = std::function<Operation(Dice&, std::string client)>;

struct When {
  std::size_t client;
  std::int64_t begun, happens, ended;
};

enum class Outcomes { known, some_unknown };
std::vector<Operation> history_of(const Object& object, Dice& dice, Outcomes outcomes) {
  std::vector<When> times;
  std::vector<std::int64_t> now(kClients, 0);
  for (std::size_t i = 0; i < kOperations; ++i) {
    When when{dice.below(kClients), 0, 0, 0};
    const auto later = [&](std::int64_t time, std::size_t most) {
      return time + static_cast<std::int64_t>(dice.below(most));
    };
    when.begun = later(now[when.client], 40);
    when.happens = later(when.begun, 30);
    when.ended = now[when.client] = later(when.happens, 30);
    times.push_back(when);
  }
  std::ranges::stable_sort(times, {}, &When::happens);
  std::vector<Operation> history;
  for (const When& when : times) {
    Operation operation = object(dice, std::to_string(when.client));
    operation.begun = when.begun;
    operation.ended = when.ended;
    // Some never hear what became of it.
    if (outcomes == Outcomes::some_unknown && !observes(operation.kind) && dice.below(30) == 0)
      operation.ended.reset();
    history.push_back(std::move(operation));
  }
  return history;
}

Object a_register() {
  return [value = std::string(), next = 1](Dice& dice, const std::string& client) mutable {
    if (dice.below(2) == 0) return read(client, value, {});
    value = std::to_string(next++);
    return write(client, value, {});
  };
}

Object a_log() {
  return [records = std::vector<std::string>()](Dice& dice, const std::string& client) mutable {
    if (dice.below(2) == 0) return read_log(client, records, {});
    records.push_back("record " + std::to_string(records.size()));
    return append(client, records.back(), {});
  };
}

Object a_directory() {
  return [names = std::map<std::string, std::string>(), next = 1](Dice& dice, const std::string& client) mutable {
    const std::string name = dice.name();
    const auto at = names.find(name);
    const bool is_there = at != names.end();
    const Answer if_there = is_there ? Answer::ok : Answer::not_found;
    switch (dice.below(6)) {
      case 0:
      case 1: {
        if (is_there) return create(client, {name}, {}, Answer::exists);
        names[name] = std::to_string(next++);
        return create(client, {name, names[name]}, {});
      }
      case 2:
        if (is_there) names.erase(at);
        return unlink(client, name, {}, if_there);
      case 3: {
        const std::string to = dice.name();
        if (is_there) {
          const std::string file = at->second;
          names.erase(at);
          names[to] = file;
        }
        return rename(client, name, to, {}, if_there);
      }
      case 4: {
        std::vector<std::string> all;
        for (const auto& entry : names) all.push_back(entry.first);
        return list(client, std::move(all), {});
      }
      default: return lookup(client, {name, is_there ? at->second : ""}, {}, if_there);
    }
  };
}

Object a_lock() {
  return [shared = std::set<std::string>(), exclusive = std::string()](Dice& dice, const std::string& client) mutable {
    if (shared.contains(client) || exclusive == client) {
      shared.erase(client);
      if (exclusive == client) exclusive.clear();
      return unlock(client, {});
    }
    const Sharing sharing = dice.below(2) == 0 ? Sharing::shared : Sharing::exclusive;
    if (!exclusive.empty() || (sharing == Sharing::exclusive && !shared.empty()))
      return lock(client, sharing, {}, Answer::busy);
    if (sharing == Sharing::shared) shared.insert(client);
    else exclusive = client;
    return lock(client, sharing, {});
  };
}

void expect_right(const std::function<Object()>& make) {
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Dice dice(seed);
    ASSERT_EQ(judged(history_of(make(), dice, Outcomes::some_unknown)), "ok");
  }
}

TEST(RandomHistories, OfASoundRegisterAreRight) { expect_right(a_register); }
TEST(RandomHistories, OfASoundDirectoryAreRight) { expect_right(a_directory); }
TEST(RandomHistories, OfASoundLogAreRight) { expect_right(a_log); }
TEST(RandomHistories, OfASoundLockAreRight) { expect_right(a_lock); }

// Spoils an answer of which it is certain that nothing explains the new one;
// false if there is none.
using Spoil = std::function<bool(std::vector<Operation>&, Operation&)>;

bool is_before(const Operation& one, const Operation& other) { return *one.ended < other.begun; }

// The value of a write that another one has replaced.
bool make_stale(std::vector<Operation>& history, Operation& spoilt) {
  if (spoilt.kind != Kind::read) return false;
  for (const Operation& old : history)
    for (const Operation& newer : history)
      if (old.kind == Kind::write && newer.kind == Kind::write && is_before(old, newer) && is_before(newer, spoilt)) {
        spoilt.value = old.value;
        return true;
      }
  return false;
}

bool lose_a_record(std::vector<Operation>& history, Operation& spoilt) {
  if (spoilt.kind != Kind::read_log) return false;
  for (const Operation& append : history)
    if (append.kind == Kind::append && is_before(append, spoilt))
      return std::erase(spoilt.values, append.value) > 0;
  return false;
}

bool gives_a_name(const Operation& operation, const std::string& name) {
  return (operation.kind == Kind::create && operation.name == name) ||
         (operation.kind == Kind::rename && operation.to_name == name);
}

// Nothing gave the name again beside or after its last unlink.
bool show_after_unlink(std::vector<Operation>& history, Operation& spoilt) {
  if (spoilt.kind != Kind::lookup || spoilt.answer != Answer::not_found) return false;
  for (const Operation& gone : history) {
    if (gone.kind != Kind::unlink || gone.name != spoilt.name || !is_before(gone, spoilt)) continue;
    const bool is_sure = std::ranges::all_of(history, [&](const Operation& other) {
      return !gives_a_name(other, spoilt.name) || is_before(other, gone) || is_before(spoilt, other);
    });
    if (!is_sure) continue;
    spoilt.answer = Answer::ok;
    return true;
  }
  return false;
}

// A second one gets what the first one still has.
bool give_twice(std::vector<Operation>& history, Operation& spoilt) {
  if (spoilt.kind != Kind::lock || spoilt.answer != Answer::busy) return false;
  for (const Operation& held : history) {
    if (held.kind != Kind::lock || held.answer != Answer::ok || held.shared || !is_before(held, spoilt)) continue;
    const bool is_kept = std::ranges::none_of(history, [&](const Operation& other) {
      return other.kind == Kind::unlock && other.client == held.client && held.begun <= other.begun &&
             other.begun <= *spoilt.ended;
    });
    if (!is_kept) continue;
    spoilt.answer = Answer::ok;
    return true;
  }
  return false;
}

void expect_caught(const std::function<Object()>& make, const Spoil& spoil) {
  unsigned spoilt = 0;
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Dice dice(seed);
    std::vector<Operation> history = history_of(make(), dice, Outcomes::known);
    for (std::size_t tries = 0; tries < 200; ++tries) {
      if (!spoil(history, history[dice.below(history.size())])) continue;
      ++spoilt;
      ASSERT_NE(judged(history), "ok");
      break;
    }
  }
  EXPECT_GE(spoilt, kSeeds / 2);
}

TEST(RandomHistories, AreWrongWithAStaleRead) { expect_caught(a_register, make_stale); }
TEST(RandomHistories, AreWrongWithALostRecord) { expect_caught(a_log, lose_a_record); }
TEST(RandomHistories, AreWrongWithANameThatIsSeenAfterItsUnlink) { expect_caught(a_directory, show_after_unlink); }
TEST(RandomHistories, AreWrongWithALockThatTwoHave) { expect_caught(a_lock, give_twice); }

}  // namespace
}  // namespace dfs::history
