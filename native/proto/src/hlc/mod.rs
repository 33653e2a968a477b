// SPDX-License-Identifier: Apache-2.0
//! Hybrid logical clock.
