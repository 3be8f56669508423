// Kernels: whatever torch asks of a CUDA tensor is done by the CPU's kernel on the same memory.
#pragma once
#include <ATen/EmptyTensor.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <torch/library.h>
#include "graph.h"

namespace stand_in {

inline thread_local c10::DeviceIndex current_device = 0;
inline thread_local c10::StreamId current_stream[kMaxDevices] = {};
inline Key key_of(c10::Device device) { return {device.index(), current_stream[device.index()]}; }
inline c10::Device here(std::optional<c10::Device> device = std::nullopt) {
  return device && device->has_index() ? *device : c10::Device(c10::kCUDA, current_device);
}

inline int num_devices = 1;
inline void check_device(int64_t device) {
  if (device < 0 || device >= num_devices) raise(kInvalidDevice, "invalid device ordinal");
}

struct OnCPU {  // no autograd, no autocast
  c10::impl::ExcludeDispatchKeyGuard no_autocast{c10::autocast_dispatch_keyset};
  at::AutoDispatchBelowADInplaceOrView below;
};

inline c10::DataPtr DeviceAllocator::allocate(size_t size) {
  const auto device = here();
  if (!size) return {nullptr, device};
  Locked lock(world);
  check_limit(device, size);
  void* data = std::aligned_alloc(64, (size + 63) / 64 * 64);
  std::memset(data, 0xff, size);
  auto block = std::make_shared<Block>(data, size, device, key_of(device));
  if (auto* graph = captured_on(key_of(device))) graph->makes(block);
  count(Count::allocations);
  return own(block);
}

// The host waits for the current stream, and then uses the tensor.
inline void wait_here(c10::Device device, const std::string& what, const at::Tensor& tensor = {}, bool writes = false) {
  Locked lock(world);
  if (auto* graph = captured_on(key_of(device))) refuse(graph, what);
  refuse_wait(what);
  count(Count::syncs, what);
  if (tensor.defined() && block_of(tensor)) block_of(tensor)->use(key_of(device), begin_work(key_of(device)), writes);
  wait_for(clock_of(key_of(device)));
}

// Notes that work of a stream reads or writes a tensor.
inline void use(const at::Tensor& tensor, Key stream, uint64_t number, Graph* graph, bool writes) {
  if (!tensor.defined() || !tensor.is_cuda()) return;
  if (auto block = block_of(tensor)) graph ? graph->uses(block, writes) : block->use(stream, number, writes);
}
// Notes the launch of a kernel that reads and writes these tensors; the graph that captures it, if one does.
inline Graph* launch(c10::Device device, const std::string& name, const std::vector<at::Tensor>& reads,
                     const std::vector<at::Tensor>& writes) {
  const auto stream = key_of(device);
  auto* graph = captured_on(stream);
  graph ? count(Count::captured, name) : count(Count::launches, name);
  if (!graph) ++streams[stream].kernels;
  const auto number = begin_work(stream);
  for (auto& tensor : reads) use(tensor, stream, number, graph, false);
  for (auto& tensor : writes) use(tensor, stream, number, graph, true);
  if (latched.code) {
    const auto error = std::exchange(latched, {});
    raise(error.code, error.text);
  }
  return graph;
}

// ---- every operator ----
inline void check_devices(const std::string& name, const std::vector<at::Tensor>& tensors, c10::Device device) {
  for (auto& tensor : tensors)
    TORCH_CHECK(!tensor.defined() || tensor.device() == device || (tensor.is_cpu() && tensor.dim() == 0),
                "Expected all tensors to be on the same device, but found at least two devices, ", device, " and ",
                tensor.device(), "! (in ", name, ")");
}
// Whether the real kernel asks the device how large its result is, or copies its indices there. (Before it asks for
// aten::index, torch asks for aten::nonzero of a mask.)
inline bool waits(const std::string& name, const std::vector<at::Tensor>& tensors) {
  static const std::set<std::string> waiting = {"aten::nonzero", "aten::masked_select", "aten::equal", "aten::_unique2",
                                                "aten::unique_dim", "aten::unique_consecutive", "aten::bincount"};
  if (waiting.count(name)) return true;
  if (name != "aten::index" && name != "aten::_index_put_impl_") return false;
  for (size_t i = 1; i < tensors.size(); i++)
    if (tensors[i].defined() && (tensors[i].is_cpu() || (name != "aten::index" && tensors[i].scalar_type() == at::kBool)))
      return true;
  return false;
}
template <typename Change>
void each_tensor(c10::IValue& value, Change change) {
  if (value.isTensor()) value = change(value.toTensor());
  else if (value.isTensorList()) {
    std::vector<at::Tensor> changed;
    for (const at::Tensor& tensor : value.toTensorVector()) changed.push_back(change(tensor));
    value = changed;
  } else if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> changed;
    for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector())
      changed.push_back(tensor ? std::optional<at::Tensor>(change(*tensor)) : std::nullopt);
    value = changed;
  }
}
using Values = std::vector<c10::IValue>;
inline Values run_on_cpu(const c10::OperatorHandle& op, const Values& arguments) {
  OnCPU guard;
  torch::jit::Stack stack(arguments);
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), &stack);
  return stack;
}
inline std::vector<at::Tensor> tensors_of(Values values) {
  std::vector<at::Tensor> found;
  for (auto& value : values) each_tensor(value, [&](const at::Tensor& tensor) { return found.push_back(tensor), tensor; });
  return found;
}
// The arguments that the operator writes; batch normalisation does not say that it writes its statistics.
inline std::vector<at::Tensor> written(const c10::OperatorHandle& op, const Values& arguments) {
  const auto& schema = op.schema();
  Values changed;
  for (size_t i = 0; i < arguments.size(); i++) {
    const auto* alias = schema.arguments()[i].alias_info();
    const bool is_statistic = schema.name() == "aten::native_batch_norm" && (i == 3 || i == 4) && arguments[5].toBool();
    if (is_statistic || (alias && alias->isWrite())) changed.push_back(arguments[i]);
  }
  return tensors_of(changed);
}
// Computes it again into the memory of the first results.
inline std::function<void(Key)> again(const c10::OperatorHandle& op, const Values& arguments, const Values& results) {
  return [op, arguments, kept = tensors_of(results)](Key) {
    const auto made = tensors_of(run_on_cpu(op, arguments));
    OnCPU guard;
    for (size_t i = 0; i < made.size(); i++)
      if (made[i].defined() && made[i].data_ptr() != kept[i].data_ptr()) at::Tensor(kept[i]).copy_(made[i]);
  };
}

struct Alias {
  at::Tensor cpu, tensor;
};
// A result of the CPU's kernel as the device's tensor: an argument, a view of one, or new memory.
inline at::Tensor returned(const at::Tensor& made, const std::vector<Alias>& aliases, c10::Device device, Graph* graph) {
  if (!made.defined() || !made.is_cpu()) return made;
  auto adopted = [&] {
    auto block = adopt(made, device, key_of(device));
    if (graph) graph->makes(block);
    else block->written[key_of(device)] = streams[key_of(device)].last;
    return block;
  };
  const void* data = made.storage().data();
  for (auto& [cpu, tensor] : aliases) {
    if (made.is_same(cpu)) {
      if (data != tensor.storage().data()) {  // an output that the kernel has enlarged
        tensor.storage().set_data_ptr_noswap(own(adopted()));
        tensor.storage().set_nbytes(made.storage().nbytes());
      }
      if (!tensor.sizes().equals(made.sizes()))
        tensor.unsafeGetTensorImpl()->set_sizes_and_strides(made.sizes(), made.strides(), made.storage_offset());
      return tensor;
    }
    if (data && data == tensor.storage().data()) return make_tensor(tensor.storage(), c10::DispatchKey::CUDA, made);
  }
  c10::Storage storage(c10::Storage::use_byte_size_t(), made.storage().nbytes(), own(adopted()), &device_allocator, true);
  return make_tensor(std::move(storage), c10::DispatchKey::CUDA, made);
}

inline void run(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  Locked lock(world);
  const auto& name = op.schema().name();
  const auto num_arguments = op.schema().arguments().size();
  Values arguments = torch::jit::last(*stack, num_arguments).vec();
  torch::jit::drop(*stack, num_arguments);
  const auto tensors = tensors_of(arguments);
  auto device = here();
  for (auto& value : arguments)
    if (value.isDevice()) device = here(value.toDevice()), value = c10::Device(c10::kCPU);
  for (auto& tensor : tensors)
    if (tensor.defined() && tensor.is_cuda()) { device = tensor.device(); break; }
  const bool takes_indices = name == "aten::index" || name == "aten::_index_put_impl_";
  if (!takes_indices) check_devices(name, tensors, device);
  if (waits(name, tensors)) wait_here(device, name);
  auto* graph = launch(device, name, tensors, written(op, arguments));
  std::vector<Alias> aliases;
  for (auto& value : arguments)
    each_tensor(value, [&](const at::Tensor& tensor) {
      if (!tensor.defined() || !tensor.is_cuda()) return tensor;
      aliases.push_back({cpu_alias(tensor), tensor});
      return aliases.back().cpu;
    });
  auto results = run_on_cpu(op, arguments);
  if (graph) graph->nodes.push_back(again(op, arguments, results));
  for (auto& value : results) {
    each_tensor(value, [&](const at::Tensor& made) { return returned(made, aliases, device, graph); });
    stack->push_back(value);
  }
}

// ---- what does not go by way of CPU tensors ----
template <typename Make>
at::Tensor made_on(std::optional<c10::Device> device, Make make) {
  const auto before = current_device;
  check_device(here(device).index());
  current_device = here(device).index();
  auto made = make(c10::DispatchKeySet(c10::DispatchKey::CUDA));
  current_device = before;
  return made;
}
using Dtype = std::optional<at::ScalarType>;
using Flag = std::optional<bool>;
inline at::Tensor empty(at::IntArrayRef size, Dtype dtype, std::optional<at::Layout>, std::optional<c10::Device> device,
                        Flag, std::optional<at::MemoryFormat> format) {
  return made_on(device, [&](auto keys) {
    return at::detail::empty_generic(size, &device_allocator, keys, dtype.value_or(at::kFloat), format);
  });
}
inline at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, Dtype dtype, std::optional<at::Layout>,
                                std::optional<c10::Device> device, Flag) {
  return made_on(device, [&](auto keys) {
    return at::detail::empty_strided_generic(size, stride, &device_allocator, keys, dtype.value_or(at::kFloat));
  });
}
inline at::Tensor as_strided(const at::Tensor& self, at::IntArrayRef size, at::IntArrayRef stride, std::optional<int64_t> offset) {
  return at::native::as_strided_tensorimpl(self, size, stride, offset);
}
inline at::Tensor unfold(const at::Tensor& self, int64_t dimension, int64_t size, int64_t step) {
  return at::native::unfold(self, dimension, size, step);
}
inline at::Tensor view(const at::Tensor& self, at::IntArrayRef size) { return at::native::view(self, size); }
inline at::Tensor& set_storage(at::Tensor& self, at::Storage storage, int64_t offset, at::IntArrayRef size, at::IntArrayRef stride) {
  self.unsafeGetTensorImpl()->set_storage_keep_dtype(std::move(storage));
  self.unsafeGetTensorImpl()->set_sizes_and_strides(size, stride, offset);
  return self;
}
inline const at::Tensor& resize_(const at::Tensor& self, at::IntArrayRef size, std::optional<at::MemoryFormat>) {
  const size_t needed = c10::multiply_integers(size) * self.dtype().itemsize();
  if (needed > self.storage().nbytes()) {
    self.storage().set_data_ptr_noswap(device_allocator.allocate(needed));
    self.storage().set_nbytes(needed);
  }
  self.unsafeGetTensorImpl()->set_sizes_contiguous(size);
  return self;
}
inline at::Scalar item(const at::Tensor& self) {
  Locked lock(world);
  wait_here(self.device(), "item", self);
  OnCPU guard;
  return cpu_alias(self).item();
}
inline void record_stream(at::Tensor& self, c10::Stream stream) {
  Locked lock(world);
  if (auto block = block_of(self)) block->recorded.insert({stream.device_index(), stream.id()});
}

inline at::Tensor& copy_on_device(at::Tensor& self, const at::Tensor& source) {
  auto* graph = launch(self.device(), "aten::copy_", {source}, {self});
  auto to = cpu_alias(self), from = cpu_alias(source);
  to.copy_(from);
  if (graph) graph->nodes.push_back([to, from](Key) { OnCPU guard; at::Tensor(to).copy_(from); });
  return self;
}
inline at::Tensor& copy_and_wait(at::Tensor& self, const at::Tensor& source, bool non_blocking) {
  const bool to_device = self.is_cuda();
  const auto& there = to_device ? self : source;
  const auto stream = key_of(there.device());
  if (auto* graph = captured_on(stream)) refuse(graph, "a copy that blocks, or one of memory that is not pinned");
  refuse_wait("a copy that blocks");
  if (to_device && non_blocking) {
    count(Count::h2d_pageable);
    use(there, stream, begin_work(stream), nullptr, true);
  } else {
    count(to_device ? Count::h2d_blocking : Count::d2h_blocking);
    wait_here(there.device(), "a blocking copy", there, to_device);
  }
  cpu_alias(self).copy_(cpu_alias(source));
  return self;
}
inline at::Tensor& copy_late(at::Tensor& self, const at::Tensor& source) {
  const bool to_device = self.is_cuda();
  const auto& there = to_device ? self : source;
  const auto stream = key_of(there.device());
  auto* graph = captured_on(stream);
  auto to = cpu_alias(self), from = cpu_alias(source).expand(self.sizes());
  count(graph ? Count::captured : to_device ? Count::h2d_async : Count::d2h_async);
  use(there, stream, begin_work(stream, graph || !to_device), graph, to_device);
  if (!graph) {
    to_device ? copy_to_device(stream, to, from, true) : copy_to_host(stream, to, from);
    return self;
  }
  if (to_device) to.copy_(from);
  graph->nodes.push_back([to, from, to_device](Key on) {
    OnCPU guard;
    count(to_device ? Count::h2d_async : Count::d2h_async);
    to_device ? copy_to_device(on, to, from, false) : copy_to_host(on, to, from);
  });
  return self;
}
inline at::Tensor& copy_(at::Tensor& self, const at::Tensor& source, bool non_blocking) {
  Locked lock(world);
  OnCPU guard;
  if (!self.numel()) return self;
  if (self.is_cuda() && source.is_cuda()) return copy_on_device(self, source);
  const bool is_late = non_blocking && is_pinned(self.is_cuda() ? source.data_ptr() : self.data_ptr());
  return is_late ? copy_late(self, source) : copy_and_wait(self, source, non_blocking);
}

// ---- kernels that only CUDA has: one launch each ----
inline std::tuple<at::Tensor, at::Tensor, at::Tensor> lstm_cell(
    const at::Tensor& input_gates, const at::Tensor& hidden_gates, const at::Tensor& memory,
    const std::optional<at::Tensor>& input_bias, const std::optional<at::Tensor>& hidden_bias) {
  auto gates = input_gates + hidden_gates;
  if (input_bias && input_bias->defined()) gates = gates + *input_bias + *hidden_bias;
  auto parts = gates.chunk(4, 1);
  auto in = parts[0].sigmoid(), forget = parts[1].sigmoid(), cell = parts[2].tanh(), out = parts[3].sigmoid();
  auto next = forget * memory + in * cell;
  return {out * next.tanh(), next, at::cat({in, forget, cell, out}, 1)};
}
inline std::tuple<at::Tensor, at::Tensor, at::Tensor> lstm_cell_backward(
    const std::optional<at::Tensor>& grad_out, const std::optional<at::Tensor>& grad_next, const at::Tensor& memory,
    const at::Tensor& next, const at::Tensor& workspace, bool has_bias) {
  auto parts = workspace.chunk(4, 1);
  auto in = parts[0], forget = parts[1], cell = parts[2], out = parts[3], squashed = next.tanh();
  auto of_out = grad_out && grad_out->defined() ? *grad_out : at::zeros_like(memory);
  auto of_next = of_out * out * (1 - squashed * squashed);
  if (grad_next && grad_next->defined()) of_next = of_next + *grad_next;
  auto gates = at::cat({of_next * cell * in * (1 - in), of_next * memory * forget * (1 - forget),
                        of_next * in * (1 - cell * cell), of_out * squashed * out * (1 - out)}, 1);
  return {gates, of_next * forget, has_bias ? gates.sum(0) : at::Tensor()};
}

}  // namespace stand_in
