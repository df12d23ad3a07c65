#include "engine/cuda/cuda.h"

namespace longshadow {

// Each puts the kernels of one operation in, and stands beside them.
void implement_add_bias();
void implement_rms_norm();
void implement_rms_norm_delta();
void implement_rms_norm_backward();
void implement_apply_gate();
void implement_gate_backward();
void implement_linear();
void implement_gated_linear_delta();
void implement_gather_rows();
void implement_copy_rows();
void implement_add_weighted_rows();
void implement_dot_rows();
void implement_add_rows();
void implement_subtract_rows();
void implement_cosine_distances();
void implement_fill_rows();
void implement_scale_rows();
void implement_copy_head_rows();
void implement_rotate_kept_keys();
void implement_rotate_rows();
void implement_attention();
void implement_attention_delta();
void implement_attention_backward();
void implement_add_attention_received();
void implement_softmax_normalisers();
void implement_kl_divergence();
void implement_predict();
void implement_pack_rows();
void implement_unpack_rows();
void implement_entropies_of_top_k();
void implement_fisher_probes();
void implement_project_heads();
void implement_project_rotated_heads();
void implement_round_rows();
void implement_fill_rotary_table();
void implement_raise_largest_attention();

void implement_cuda_operations() {
  implement_add_bias();
  implement_rms_norm();
  implement_rms_norm_delta();
  implement_rms_norm_backward();
  implement_apply_gate();
  implement_gate_backward();
  implement_linear();
  implement_gated_linear_delta();
  implement_gather_rows();
  implement_copy_rows();
  implement_add_weighted_rows();
  implement_dot_rows();
  implement_add_rows();
  implement_subtract_rows();
  implement_cosine_distances();
  implement_fill_rows();
  implement_scale_rows();
  implement_copy_head_rows();
  implement_rotate_kept_keys();
  implement_rotate_rows();
  implement_attention();
  implement_attention_delta();
  implement_attention_backward();
  implement_add_attention_received();
  implement_softmax_normalisers();
  implement_kl_divergence();
  implement_predict();
  implement_pack_rows();
  implement_unpack_rows();
  implement_entropies_of_top_k();
  implement_fisher_probes();
  implement_project_heads();
  implement_project_rotated_heads();
  implement_round_rows();
  implement_fill_rotary_table();
  implement_raise_largest_attention();
}

}  // namespace longshadow
