#include "probes/cost/memory_plan.h"

#include <catch2/catch.hpp>

#include "engine/core/error.h"
#include "engine/model/full_pass.h"
#include "probes/cost/arithmetic.h"

namespace longshadow {
namespace {

/// L 2, D 8, H 4, K 2, d 3, F 10, V 1000.
ModelConfig small_model() {
  ModelConfig config;
  config.n_layers = 2;
  config.hidden_size = 8;
  config.n_heads = 4;
  config.n_kv_heads = 2;
  config.head_dim = 3;
  config.feed_forward_size = 10;
  config.vocab_size = 1000;
  config.max_context = 4096;
  return config;
}

std::size_t bytes_of(const MemoryPlan& plan, const std::string& what) {
  for (const MemoryPlan::Part& part : plan.parts) {
    if (part.what == what) return part.bytes;
  }
  FAIL("no part " << what);
  return 0;
}

TEST_CASE("A plan counts what a probe keeps and what a row takes") {
  // The layers' weights: 2 (8 12 + 8 6 + 8 6 + 12 8 + 3 8 10) = 1056; the output's: 8000.
  constexpr std::size_t n = 100, rows = 30, layers = 1056, output = 8000;
  const MemoryPlan plan =
      plan_memory(small_model(), {Precision::bf16, Method::differential, n, rows, true});
  CHECK(bytes_of(plan, "weights") == (3 * output + layers) * 4 + (output + layers) * 2);
  CHECK(bytes_of(plan, "gradients' weights") == (output + layers) * 2);
  CHECK(bytes_of(plan, "cache") == 2 * 2 * n * 6 * (4 + 2));
  CHECK(bytes_of(plan, "tape") == rows * (2 * (2 * 8 + 2 * 12 + 4 + 2 * 10) + 8) * 4);
  CHECK(bytes_of(plan, "signals") ==
        kPrefillChunk * 2 * 8 * 4 + 2 * 2 * 2 * n * 8 + 2 * n * 4 + n * 8 * 4);
  CHECK(plan.bytes_per_batch_row == (8 + 6) * 4 + (8 + 2 * 12 + 6 + 10) * 2 + 24 * 2);

  ModelConfig tied = small_model();
  tied.tied_embeddings = true;
  const MemoryPlan direct = plan_memory(tied, {Precision::f64, Method::direct, n, rows});
  CHECK(bytes_of(direct, "weights") == (2 * output + layers) * 8);
  CHECK(bytes_of(direct, "tape") == 0);
  CHECK(direct.bytes_per_batch_row == (3 * 8 + 2 * 12 + 2 * 6 + 4 + 3 * 10) * 8 + 24 * 2);
}

TEST_CASE("A plan counts the matrices of all experts, and the activations of those of a row") {
  constexpr std::size_t n = 100, rows = 30, output = 8000,
                        attention = 8 * 12 + 8 * 6 + 8 * 6 + 12 * 8;
  ModelConfig mixed = small_model();  // 5 experts of size 7 in the second layer, 2 for each row
  mixed.experts = {.count = 5, .chosen = 2, .feed_forward_size = 7, .renormalised = true};
  mixed.expert_layers = {false, true};
  const std::size_t expert = 3 * 8 * 7, router = 5 * 8;
  const MemoryPlan plan = plan_memory(mixed, {Precision::f32, Method::differential, n, rows});
  const std::size_t layers = 2 * attention + 3 * 8 * 10 + 5 * expert + router;
  CHECK(bytes_of(plan, "weights") == (3 * output + layers) * 4);
  // Behind an expert a row keeps gate, up and output; beside them logits, weights and ids.
  const std::size_t numbers = 3 * 5 + 4 * 2;
  const std::size_t of_attention = 8 + 2 * 12 + 4;
  CHECK(bytes_of(plan, "tape") ==
        rows * (2 * of_attention + (8 + 2 * 10) + (8 + 2 * (2 * 7 + 8) + numbers) + 8) * 4);
  CHECK(bytes_of(plan, "experts' tiles") == 2 * 5 * 127 * (2 * 7 + 8) * 4);
  CHECK(plan.bytes_per_batch_row ==
        (8 + 6 + (3 * 8 + numbers)) * 4 + (8 + 2 * 12 + 6 + 10 + (8 + 7)) * 4 + 24 * 2);
  CHECK(product_flops(mixed, 1) ==
        2.0 * (2 * attention + 3 * 8 * 10 + 2 * expert + router + output));
  ModelConfig all = mixed;
  all.expert_layers = {true, true};
  CHECK(bytes_of(plan_memory(all, {Precision::f32, Method::differential, n, rows}), "weights") ==
        (3 * output + 2 * (attention + 5 * expert + router)) * 4);
}

TEST_CASE(
    "A sketch's plan counts gates, and the projections of all bins twice: a file holds them") {
  constexpr std::size_t context = 50, n_probes = 16, n_kept = 48;
  const MemoryDemand demand{Precision::f32, Method::differential, 100, 30, true};
  const auto plan = [&](std::size_t kept) {
    return plan_sketch_memory(small_model(), demand, {context, n_probes, kept});
  };
  CHECK(bytes_of(plan(0), "gates") == n_probes * (2 * 2 + 4) * context * 4);
  CHECK(bytes_of(plan(0), "projections") == 0);
  CHECK(bytes_of(plan(n_kept), "projections") == 2 * n_kept * (2 * 2) * context * 4);
}

TEST_CASE("A CUDA device reads its matrices either way, and keeps those in bf16 that are") {
  constexpr std::size_t layers = 1056, output = 8000;
  const auto weights = [](const ModelConfig& config, Precision precision) {
    const MemoryPlan plan =
        plan_memory(config, {precision, Method::differential, 100, 30, true, DeviceKind::cuda});
    CHECK(bytes_of(plan, "gradients' weights") == 0);
    return bytes_of(plan, "weights");
  };
  ModelConfig model = small_model();
  CHECK(weights(model, Precision::bf16) == (2 * output + layers) * 4 + (output + layers) * 2);
  model.bf16_layers = true;
  CHECK(weights(model, Precision::f64) == (2 * output + layers) * 8);
  CHECK(weights(model, Precision::f32) == 2 * output * 4 + layers * 2);
  model.tied_embeddings = true;
  CHECK(weights(model, Precision::bf16) == output * 4 + output * 2 + layers * 2);
}

TEST_CASE("The memory allowed decides how many futures run at once") {
  const MemoryPlan plan{{{"weights", 1000}, {"tape", 0}, {"cache", 500}}, 10};
  CHECK(choose_batch_rows(plan, 1500 + 3 * 160, 16) == 48);
  CHECK(choose_batch_rows(plan, 1500 + 3 * 160 - 1, 16) == 32);
  CHECK(choose_batch_rows(plan, 1500 + 160, 16) == 16);
  CHECK(choose_batch_rows(plan, 0, 16) % 16 == 0);
  CHECK(choose_batch_rows(plan, std::size_t{1} << 60, 16) == choose_batch_rows(plan, 0, 16));
  CHECK_THROWS_WITH(choose_batch_rows(plan, 1500 + 159, 16),
                    Catch::Contains("(weights 9.313e-07G, cache 4.657e-07G)"));
}

TEST_CASE("Bytes are read in powers of 1024") {
  CHECK(parse_bytes("0") == 0);
  CHECK(parse_bytes("1.5K") == 1536);
  CHECK(parse_bytes("4G") == std::size_t{4} << 30);
  for (const char* text : {"", "G", "4GB", "-1", "nan", "4 G", "1e30"}) {
    CHECK_THROWS_AS(parse_bytes(text), UsageError);
  }
}

}  // namespace
}  // namespace longshadow
