import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethod,
  type DescService,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  StatusCode,
  TtrpcError,
  type CallContext,
  type CallOptions,
  type Handler,
  type TtrpcClient,
} from "../ttrpc/index.js";

type Input<Method> = Method extends { input: infer Schema extends DescMessage } ? Schema : never;
type Output<Method> = Method extends { output: infer Schema extends DescMessage } ? Schema : never;

/** The methods of a service as one writes them: typed messages in and out. */
export type ServiceImplementation<Service extends DescService> = {
  [Name in keyof Service["method"]]: (
    request: MessageShape<Input<Service["method"][Name]>>,
    context: CallContext,
  ) =>
    | MessageInitShape<Output<Service["method"][Name]>>
    | Promise<MessageInitShape<Output<Service["method"][Name]>>>;
};

/** The methods of a service as one calls them. */
export type ServiceClient<Service extends DescService> = {
  [Name in keyof Service["method"]]: (
    request: MessageInitShape<Input<Service["method"][Name]>>,
    options?: CallOptions,
  ) => Promise<MessageShape<Output<Service["method"][Name]>>>;
};

type AnyMethod = (request: never, context: CallContext) => unknown;

/**
 * Handlers for `TtrpcServer.register(service.typeName, …)` out of a typed
 * implementation. A request that is no such message is answered
 * InvalidArgument before the implementation sees it.
 */
export function serviceHandlers<Service extends DescService>(
  service: Service,
  implementation: ServiceImplementation<Service>,
): Record<string, Handler> {
  const handlers: Record<string, Handler> = {};
  const methods: Readonly<Record<string, AnyMethod | undefined>> = implementation;
  for (const method of service.methods) {
    if (methods[method.localName] !== undefined) {
      handlers[method.name] = handlerOf(method, methods);
    }
  }
  return handlers;
}

function handlerOf(method: DescMethod, methods: Readonly<Record<string, AnyMethod | undefined>>): Handler {
  return async (payload, context) => {
    const request = decode(method, payload);
    // Through the object, so that a class's methods keep their `this`.
    const answer = (await methods[method.localName]?.(request as never, context)) as MessageInitShape<
      typeof method.output
    >;
    return toBinary(method.output, create(method.output, answer));
  };
}

function decode(method: DescMethod, payload: Uint8Array): unknown {
  try {
    return fromBinary(method.input, payload);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new TtrpcError(StatusCode.InvalidArgument, `${method.input.typeName}: ${why}`);
  }
}

/**
 * Typed calls of one service over a connection. A field's defaults may be left
 * out of a request.
 */
export function serviceClient<Service extends DescService>(
  service: Service,
  connection: TtrpcClient,
): ServiceClient<Service> {
  const client: Record<string, unknown> = {};
  for (const method of service.methods) {
    client[method.localName] = async (
      request: MessageInitShape<typeof method.input>,
      options?: CallOptions,
    ): Promise<unknown> => {
      const payload = toBinary(method.input, create(method.input, request));
      const answer = await connection.call(service.typeName, method.name, payload, options);
      return fromBinary(method.output, answer);
    };
  }
  return client as ServiceClient<Service>;
}
