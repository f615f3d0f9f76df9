import { StatusCode, TtrpcError } from "../ttrpc/index.js";
import { SettingsError } from "../../config/errors.js";
import { RuntimeError, type RuntimeErrorCode } from "../../runtime/errors.js";

/**
 * What containerd expects of each kind of error. It acts on NotFound,
 * AlreadyExists, FailedPrecondition and Unimplemented; a bad transition of
 * runc's shim is Unknown, and so is everything else there.
 */
const CODES: Readonly<Record<RuntimeErrorCode, StatusCode>> = {
  "not-found": StatusCode.NotFound,
  "already-exists": StatusCode.AlreadyExists,
  "invalid-argument": StatusCode.InvalidArgument,
  "failed-precondition": StatusCode.FailedPrecondition,
  "invalid-transition": StatusCode.Unknown,
  unimplemented: StatusCode.Unimplemented,
  failed: StatusCode.Unknown,
};

/** The answer's error for anything a method throws. */
export function statusError(thrown: unknown): TtrpcError {
  if (thrown instanceof TtrpcError) {
    return thrown;
  }
  if (thrown instanceof RuntimeError) {
    return new TtrpcError(CODES[thrown.code], thrown.message, [], { cause: thrown });
  }
  const code = thrown instanceof SettingsError ? StatusCode.InvalidArgument : StatusCode.Unknown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new TtrpcError(code, message, [], { cause: thrown });
}
