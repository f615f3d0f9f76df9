import { integer, smallInteger, text } from "../schema.js";

/** Go's integer types, which are the runtime-spec's. */
export const uint64 = integer(0n, 2n ** 64n - 1n);
export const int64 = integer(-(2n ** 63n), 2n ** 63n - 1n);
export const uint32 = smallInteger(0, 2 ** 32 - 1);
export const int32 = smallInteger(-(2 ** 31), 2 ** 31 - 1);
export const uint16 = smallInteger(0, 2 ** 16 - 1);
/** `uint`: Go's is 64 bits wide. */
export const uint = uint64;
/** `*int`. */
export const int = int64;

export const absolutePath = text((value) => value.startsWith("/"), "an absolute path");
export const nonEmpty = text((value) => value !== "", "allowed: a name is wanted");
