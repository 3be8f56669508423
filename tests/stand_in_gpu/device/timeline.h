// Time on the device: streams, events and copies that end late.
//
// Work of a stream has a number. A clock says, for each stream, how much of its work lies before a moment; an event is
// the clock of its recording. Kernels run at once, when they are launched; that they may is checked with clocks, block
// by block (see memory.h). A copy to the device from pinned memory happens when a kernel that comes after it starts, or
// when the host waits; until then its target holds NaN (-1 as an integer). A copy from the device to pinned memory
// happens when the host waits. Host memory must stay as it is until the host knows that a copy has read it: who writes
// it before is told so at the next wait.
#pragma once
#include <ATen/ATen.h>
#include <chrono>
#include <cstring>
#include <deque>
#include <limits>
#include "counts.h"

namespace stand_in {

using Key = std::pair<int, int64_t>;  // device, stream
using Clock = std::map<Key, uint64_t>;

// The error of an earlier call; the next launch raises it and forgets it, as CUDA's check after a launch does.
struct Latched {
  int code = 0;
  std::string text;
};
inline Latched& latched = *new Latched;
bool capturing_globally();

struct Copy {
  uint64_t number;
  at::Tensor target, source;  // the CPU's, or CPU aliases
  bool to_device, is_done;
  at::Tensor taken;           // what was copied
};
struct Stream {
  uint64_t last = 0;     // its newest work
  uint64_t settled = 0;  // its newest work of which the host knows that it has ended
  uint64_t kernels = 0;  // how many it has run, also those of graphs
  Clock before;          // the work of other streams that it has waited for
  std::deque<Copy> copies;
};
inline std::map<Key, Stream>& streams = *new std::map<Key, Stream>;

inline void merge(Clock& into, const Clock& other) {
  for (auto& [stream, number] : other) into[stream] = std::max(into[stream], number);
}
inline Clock clock_of(Key stream) {
  Clock clock = streams[stream].before;
  clock[stream] = streams[stream].last;
  return clock;
}
// Whether this work comes before whatever `later` does next.
inline bool is_over(const Clock& work, Key later) {
  for (auto& [stream, number] : work)
    if (stream != later && streams[stream].settled < number && streams[later].before[stream] < number) return false;
  return true;
}

inline void poison(at::Tensor target) {
  if (target.is_floating_point())
    target.fill_(std::numeric_limits<double>::quiet_NaN());
  else
    target.fill_(target.scalar_type() == at::kBool ? 1 : target.scalar_type() == at::kByte ? 255 : -1);
}
inline bool same_bytes(const at::Tensor& one, const at::Tensor& other) {
  auto first = one.contiguous(), second = other.contiguous();
  return first.nbytes() == second.nbytes() && std::memcmp(first.data_ptr(), second.data_ptr(), first.nbytes()) == 0;
}
inline void perform(Copy& copy) {
  if (copy.to_device) copy.taken = copy.source.contiguous().clone();
  copy.target.copy_(copy.taken);
  copy.is_done = true;
}

inline void copy_to_device(Key stream, at::Tensor target, const at::Tensor& source, bool late) {
  auto& state = streams[stream];
  state.copies.push_back({state.last, target, source, true, false, {}});
  late ? poison(target) : perform(state.copies.back());
}
inline void copy_to_host(Key stream, at::Tensor target, const at::Tensor& source) {
  auto& state = streams[stream];
  state.copies.push_back({state.last, target, source, false, false, source.contiguous().clone()});
  poison(target);
}

// New work of a stream: what a kernel must see has been copied. Returns its number.
inline uint64_t begin_work(Key stream, bool is_kernel = true) {
  const auto number = ++streams[stream].last;
  if (!is_kernel) return number;
  for (auto& [other, last] : clock_of(stream))
    for (auto& copy : streams[other].copies)
      if (copy.number <= last && copy.to_device && !copy.is_done) perform(copy);
  return number;
}

// The host waits until the work before this clock has ended.
inline void wait_for(const Clock& clock) {
  bool was_overwritten = false;
  for (auto& [stream, last] : clock) {
    auto& state = streams[stream];
    for (; !state.copies.empty() && state.copies.front().number <= last; state.copies.pop_front()) {
      auto& copy = state.copies.front();
      if (!copy.is_done) perform(copy);
      else if (!same_bytes(copy.source, copy.taken)) was_overwritten = true;
    }
    state.settled = std::max(state.settled, last);
  }
  TORCH_CHECK(!was_overwritten, "host memory was overwritten before the copy from it was known to have ended");
}

struct Event {
  Clock clock;
  bool is_recorded = false, is_captured = false, is_timed = false;
  int asked = 0;
  uint64_t kernels = 0;  // of its stream, when it was recorded
  std::chrono::steady_clock::time_point time;
};
// How long a kernel takes between two events, in microseconds; 0: what it takes here.
inline int64_t pace = 0;
// How often a new event says that it has not happened yet.
inline int patience = 1;

inline bool has_happened(const Event& event) {
  for (auto& [stream, number] : event.clock)
    if (streams[stream].settled < number) return false;
  return true;
}

}  // namespace stand_in
