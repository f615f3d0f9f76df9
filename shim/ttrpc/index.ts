export { TtrpcClient, type CallOptions, type ConnectOptions } from "./client.js";
export {
  encodeFrame,
  FrameDecoder,
  FrameFlag,
  FrameType,
  HEADER_LENGTH,
  MAXIMUM_PAYLOAD_LENGTH,
  OversizePayloadError,
  type Decoded,
  type Frame,
  type OversizeFrame,
} from "./codec.js";
export {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  type Metadata,
  type Request,
  type Response,
} from "./envelope.js";
export {
  TtrpcServer,
  type CallContext,
  type Handler,
  type ListenTarget,
  type ServerOptions,
} from "./server.js";
export { StatusCode, TtrpcError, type Status } from "./status.js";
