import assert from "node:assert/strict";
import { RuntimeError, type RuntimeErrorCode } from "../../../runtime/errors.js";
import { statusError } from "../../../shim/task/errors.js";
import { StatusCode, TtrpcError } from "../../../shim/ttrpc/index.js";

describe("an error's status", () => {
  const expected: Record<RuntimeErrorCode, StatusCode> = {
    "not-found": StatusCode.NotFound,
    "already-exists": StatusCode.AlreadyExists,
    "invalid-argument": StatusCode.InvalidArgument,
    "failed-precondition": StatusCode.FailedPrecondition,
    "invalid-transition": StatusCode.Unknown,
    unimplemented: StatusCode.Unimplemented,
    failed: StatusCode.Unknown,
  };

  it("follows from the kind of a runtime error, with its words", () => {
    const found = Object.keys(expected).map((code) => {
      const { code: status, message } = statusError(new RuntimeError(code as RuntimeErrorCode, "why"));
      return [code, status, message];
    });
    assert.deepEqual(
      found,
      Object.entries(expected).map(([code, status]) => [code, status, "why"]),
    );
  });

  it("is Unknown for anything else thrown, and a status stays what it is", () => {
    const status = new TtrpcError(StatusCode.Unavailable, "leaving");
    assert.equal(statusError(status), status);
    assert.deepEqual(
      [new TypeError("bug"), "text"].map((thrown) => {
        const { code, message } = statusError(thrown);
        return { code, message };
      }),
      [
        { code: StatusCode.Unknown, message: "bug" },
        { code: StatusCode.Unknown, message: "text" },
      ],
    );
  });
});
