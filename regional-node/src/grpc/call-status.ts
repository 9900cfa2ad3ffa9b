import { type Metadata, Metadata as MetadataClass, type StatusObject } from '@grpc/grpc-js'
import { asTributaryError } from '@tributary/contracts/errors'
import { errorMetadata, grpcStatus } from '@tributary/contracts/grpc-status'

/** A refused call as gRPC carries it: status, and in the trailers the catalogue code and the public detail. */
export const statusOf = (failure: unknown): Partial<StatusObject> & { metadata: Metadata } => {
  const error = asTributaryError(failure)
  const metadata = new MetadataClass()
  metadata.set(errorMetadata.code, error.code)
  if (error.detail !== undefined) metadata.set(errorMetadata.detail, Buffer.from(error.detail, 'utf8'))
  return { code: grpcStatus[error.entry.grpc], details: error.detail ?? error.entry.message, metadata }
}
