// Graphs: what was launched on a capturing stream, to be launched again on the same memory.
//
// As on a GPU, capture itself computes nothing that anybody sees: at its end, memory from outside is as it was before,
// and memory that was allocated inside is NaN until the first replay. Capture refuses what waits for the device,
// copies that block, copies of pageable memory, and events from outside; afterwards it cannot end well. A replay
// refuses memory from outside whose tensor is gone, and to run beside another graph of its pool on another stream.
#pragma once
#include <functional>
#include <vector>
#include "memory.h"

namespace stand_in {

struct Outside {
  BlockPtr block;
  std::vector<char> before;
  bool is_written = false;
};
struct Graph {
  int64_t pool = 0;
  std::set<Key> streams;
  bool is_global = true, is_broken = false, has_ended = false;
  std::vector<std::function<void(Key)>> nodes;
  std::map<Block*, Outside> outside;
  std::map<Block*, BlockPtr> inside;

  void uses(const BlockPtr& block, bool writes) {
    if (inside.count(block.get())) return;
    auto* data = static_cast<const char*>(block->data);
    if (!outside.count(block.get())) outside[block.get()] = {block, {data, data + block->size}};
    outside[block.get()].is_written |= writes;
  }
  void makes(const BlockPtr& block) {
    block->in_pool = true;
    inside[block.get()] = block;
  }
};
struct Replay {
  Key stream;
  uint64_t number;
  int64_t graph;
};
inline std::map<int64_t, Graph>& graphs = *new std::map<int64_t, Graph>;
inline std::map<int64_t, Replay>& last_replay = *new std::map<int64_t, Replay>;  // by pool
inline Graph* capturing = nullptr;

inline bool capturing_globally() { return capturing && capturing->is_global; }
// The graph into which work on this stream goes.
inline Graph* captured_on(Key stream) { return capturing && capturing->streams.count(stream) ? capturing : nullptr; }

[[noreturn]] inline void refuse(Graph* graph, const std::string& what) {
  graph->is_broken = true;
  raise(kCapturing, "operation not permitted when stream is capturing (" + what + ")");
}
// A wait of the host, which no capture allows.
inline void refuse_wait(const std::string& what) {
  if (capturing_globally()) refuse(capturing, what);
}

inline void begin_capture(int64_t id, int64_t pool, bool is_global, Key stream) {
  Locked lock(world);
  TORCH_CHECK(stream.second != 0, "CUDA graphs must be captured on a non-default stream.");
  if (capturing) refuse(capturing, "another capture");
  auto& graph = graphs[id] = {};
  graph.pool = pool, graph.is_global = is_global, graph.streams = {stream};
  capturing = &graph;
}
inline void end_capture(int64_t id) {
  Locked lock(world);
  auto& graph = graphs.at(id);
  TORCH_CHECK(capturing == &graph, "CUDA error: this graph is not being captured");
  capturing = nullptr, graph.has_ended = true;
  for (auto& [block, kept] : graph.outside) std::memcpy(block->data, kept.before.data(), block->size), kept.before = {};
  for (auto& [block, kept] : graph.inside) std::memset(block->data, 0xff, block->size);
  if (graph.is_broken) graphs.erase(id), raise(901, "operation failed due to a previous error during capture");
}
inline void replay(int64_t id, Key stream) {
  Locked lock(world);
  auto& graph = graphs.at(id);
  TORCH_CHECK(graph.has_ended, "Called CUDAGraph::replay without a preceding successful capture.");
  refuse_wait("the replay of a graph");
  for (auto& [block, kept] : graph.outside)
    TORCH_CHECK(!block->released, "the graph uses memory of a tensor that is gone since its capture");
  auto last = last_replay.find(graph.pool);
  TORCH_CHECK(last == last_replay.end() || last->second.graph == id ||
                  is_over({{last->second.stream, last->second.number}}, stream),
              "two graphs of one pool run on two streams at once");
  const auto number = begin_work(stream);
  last_replay[graph.pool] = {stream, number, id};
  for (auto& [block, kept] : graph.outside) block->use(stream, number, kept.is_written);
  for (auto& [block, kept] : graph.inside) block->use(stream, number, true);
  count(Count::launches, "replay"), count(Count::replays);
  streams[stream].kernels += graph.nodes.size();
  for (auto& node : graph.nodes) node(stream);
}

}  // namespace stand_in
