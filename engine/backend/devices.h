#pragma once

#include "engine/backend/operation.h"

namespace longshadow {

// The devices that operations have an overload for. Who makes a Cuda includes cuda/cuda.h.
class Cuda;

}  // namespace longshadow
