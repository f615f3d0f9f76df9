// What the launcher is asked to do; each ends in an exit status.
#pragma once

#include "flags.h"

namespace tine::launcher {

// Finds or starts the daemon of a new container and prints its address.
int start(const Flags& flags);

// Cleans up what a lost container left, by running delete.js in our place.
int remove(const Flags& flags);

// Prints a containerd.types.RuntimeInfo message.
int info();

// Prints the version, as a person reads it.
int version();

// Prints what the program is for and how it is called.
int help();

}  // namespace tine::launcher
