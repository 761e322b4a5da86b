#include "tests/model/operation.h"

#include <vector>

namespace dfs::model {
namespace {

struct AllKinds {
  std::vector<const OperationKind*> kinds;
  std::uint64_t weights = 0;

  AllKinds() {
    for (const auto family : {descriptor_operations(), content_operations(), range_operations(), name_operations(),
                              attribute_operations(), directory_operations()}) {
      for (const OperationKind& kind : family) {
        kinds.push_back(&kind);
        weights += kind.weight;
      }
    }
  }
};

const OperationKind& any_kind(Dice& dice) {
  static const AllKinds all;
  std::uint64_t at = dice.below(all.weights);
  for (const OperationKind* kind : all.kinds) {
    if (at < kind->weight) return *kind;
    at -= kind->weight;
  }
  return *all.kinds.front();
}

}  // namespace

Operation operation_at(std::uint64_t seed, std::uint64_t step, const Geometry& geometry) {
  Dice dice(seed, step);
  Operation operation;
  operation.kind = &any_kind(dice);
  operation.kind->fill(dice, geometry, operation);
  return operation;
}

std::string to_text(const Operation& operation) { return operation.kind->describe(operation); }

}  // namespace dfs::model
