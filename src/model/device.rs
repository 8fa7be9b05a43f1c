//! The device that computes, and the number format on it.

use super::ModelError;
use candle_core::{DType, Device};
use std::{fmt, str::FromStr};

/// What the user asked for with `--device`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceChoice {
    /// A GPU where this build has one and it answers, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The first CUDA device.
    Cuda,
    /// The first Metal device.
    Metal,
}

impl FromStr for DeviceChoice {
    type Err = ModelError;
    fn from_str(s: &str) -> Result<Self, ModelError> {
        match s {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda),
            "metal" => Ok(Self::Metal),
            other => Err(ModelError::Input(format!("unknown device {other:?}; give auto, cpu, cuda or metal"))),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Metal => "metal",
        })
    }
}

impl DeviceChoice {
    /// Opens the device. Errors where the build lacks the feature or no such device answers; `Auto` never fails.
    pub fn open(self) -> Result<Device, ModelError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => gpu("CUDA", "cuda", cfg!(feature = "cuda"), || Device::new_cuda(0)),
            Self::Metal => gpu("Metal", "metal", cfg!(feature = "metal"), || Device::new_metal(0)),
            Self::Auto => Ok(Self::Cuda.open().or_else(|_| Self::Metal.open()).unwrap_or(Device::Cpu)),
        }
    }
}

fn gpu(name: &str, feature: &str, compiled: bool, open: impl Fn() -> candle_core::Result<Device>) -> Result<Device, ModelError> {
    if !compiled {
        let what = format!("this build has no {name} support; build it with --features {feature}, or use --device cpu");
        return Err(ModelError::Input(what));
    }
    open().map_err(|e| ModelError::Input(format!("no {name} device: {e}; check the driver, or use --device cpu")))
}

/// The number format that activations and dense weights have on `device`: f32 on a CPU (candle widens bf16 there), bf16 on a GPU.
pub fn compute_dtype(device: &Device) -> DType {
    if device.is_cpu() { DType::F32 } else { DType::BF16 }
}

/// The device's name for people.
pub fn device_name(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_and_print() {
        for name in ["auto", "cpu", "cuda", "metal"] {
            assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
        }
        assert!("gpu".parse::<DeviceChoice>().unwrap_err().to_string().contains("cuda"));
    }

    #[test]
    fn a_device_that_is_not_there_says_what_to_do() {
        if !cfg!(feature = "cuda") {
            let e = DeviceChoice::Cuda.open().unwrap_err().to_string();
            assert!(e.contains("--features cuda") && e.contains("--device cpu"), "{e}");
        }
        if !cfg!(any(feature = "cuda", feature = "metal")) {
            assert!(DeviceChoice::Auto.open().unwrap().is_cpu());
        }
        assert_eq!(compute_dtype(&Device::Cpu), DType::F32);
    }
}
