// What was asked of the device. The numbers may lie in a file, where they outlive a process that is killed.
#pragma once
#include <c10/util/Exception.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace stand_in {

// launches        kernels, copies on a device, and replays of a graph, each as one
// captured        kernels and copies that went into a graph
// replays         of graphs
// h2d_blocking    copies to a device for which the host waits
// h2d_pageable    copies asked for without blocking from memory that is not pinned: the host waits for a part of each
// h2d_async       copies to a device for which nobody waits
// d2h_blocking, d2h_async  the same from a device; one into memory that is not pinned blocks
// syncs           every wait of the host: `.item()`, blocking copies, `synchronize`
// event_queries, event_waits, allocations
#define STAND_IN_COUNTS(X)                                                                                       \
  X(launches) X(captured) X(replays) X(h2d_blocking) X(h2d_pageable) X(h2d_async) X(d2h_blocking) X(d2h_async) \
  X(syncs) X(event_queries) X(event_waits) X(allocations)

enum class Count : int {
#define STAND_IN_NAME(name) name,
  STAND_IN_COUNTS(STAND_IN_NAME)
#undef STAND_IN_NAME
};
inline const char* const kCountNames[] = {
#define STAND_IN_NAME(name) #name,
    STAND_IN_COUNTS(STAND_IN_NAME)
#undef STAND_IN_NAME
};
constexpr int kNumCounts = sizeof(kCountNames) / sizeof(kCountNames[0]);

// Everything that lives as long as the process is leaked: tensors and autograd's threads die after static objects.
inline std::recursive_mutex& world = *new std::recursive_mutex;
using Locked = std::lock_guard<std::recursive_mutex>;

inline std::atomic<int64_t>* numbers = new std::atomic<int64_t>[kNumCounts]();
inline std::map<std::string, int64_t>& by_name = *new std::map<std::string, int64_t>;

inline void count(Count what) { numbers[static_cast<int>(what)]++; }

// What was launched, or what made the host wait, by name.
inline void count(Count what, const std::string& name) {
  Locked lock(world);
  count(what);
  by_name[std::string(kCountNames[static_cast<int>(what)]) + " " + name]++;
}

inline void count_into_file(const std::string& path) {
  const size_t size = kNumCounts * sizeof(int64_t);
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  TORCH_CHECK(file >= 0 && ftruncate(file, size) == 0, "cannot count into ", path);
  void* mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  TORCH_CHECK(mapped != MAP_FAILED, "cannot map ", path);
  numbers = static_cast<std::atomic<int64_t>*>(mapped);
}

}  // namespace stand_in
