import { toBinary } from '@bufbuild/protobuf'
import { type ModelProto, ModelProtoSchema } from './gen/onnx_pb.ts'

/** The bytes of a model: fields in the order of their numbers, then fields that were not understood. Same model, same bytes. */
export const writeModel = (model: ModelProto): Uint8Array => toBinary(ModelProtoSchema, model)
