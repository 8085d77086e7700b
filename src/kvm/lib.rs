//! The only user of kvm-ioctls: virtual machine, vCPUs, memory slots, interrupts.
