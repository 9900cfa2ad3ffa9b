import { type DescMessage, type DescService, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf'
import { Health } from './gen/grpc/health/v1/health_pb.ts'
import { FederatedLearning } from './gen/tributary/fl/v1/fl_pb.ts'

/** One method in the form that grpc-js takes, for servers and clients alike. */
export type GrpcMethod<Input extends DescMessage, Output extends DescMessage> = {
  readonly path: string
  readonly requestStream: boolean
  readonly responseStream: boolean
  readonly requestSerialize: (message: MessageShape<Input>) => Buffer
  readonly requestDeserialize: (bytes: Buffer) => MessageShape<Input>
  readonly responseSerialize: (message: MessageShape<Output>) => Buffer
  readonly responseDeserialize: (bytes: Buffer) => MessageShape<Output>
}

type GrpcMethods<Service extends DescService> = {
  readonly [Name in keyof Service['method']]: GrpcMethod<
    Service['method'][Name]['input'],
    Service['method'][Name]['output']
  >
}

const codecOf = <Schema extends DescMessage>(schema: Schema) => ({
  serialize: (message: MessageShape<Schema>): Buffer => {
    const bytes = toBinary(schema, message)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  },
  deserialize: (bytes: Buffer): MessageShape<Schema> => fromBinary(schema, bytes),
})

/** The service definition of a protobuf-es service for grpc-js. */
const grpcMethodsOf = <Service extends DescService>(service: Service): GrpcMethods<Service> =>
  Object.fromEntries(
    service.methods.map(method => {
      const input = codecOf(method.input)
      const output = codecOf(method.output)
      return [
        method.localName,
        {
          path: `/${service.typeName}/${method.name}`,
          requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
          responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
          requestSerialize: input.serialize,
          requestDeserialize: input.deserialize,
          responseSerialize: output.serialize,
          responseDeserialize: output.deserialize,
        },
      ]
    }),
  ) as unknown as GrpcMethods<Service>

/** `tributary.fl.v1.FederatedLearning` for grpc-js, methods by their camelCase names. */
export const federatedLearningMethods = grpcMethodsOf(FederatedLearning)

/** Its full name. */
export const federatedLearningName = FederatedLearning.typeName

/** `grpc.health.v1.Health`. */
export const healthMethods = grpcMethodsOf(Health)

/** The range of protocol versions that this build speaks; the handshake is in CheckIn. */
export const protocolRange = { min: 1, max: 1 } as const

/** Largest chunk of weights in one gRPC message, bytes. */
export const chunkBytes = 256 * 1024
