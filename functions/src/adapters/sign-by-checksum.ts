import type { S3Client } from '@aws-sdk/client-s3'

/** Signs what a client sends by the sha256 that is its checksum as well; the SDK would hash every body once more. */
export const signByChecksum = (client: S3Client): void => {
  client.middlewareStack.add(
    next => args => {
      const { headers } = args.request as { headers: Record<string, string> }
      const checksum = 'Body' in args.input ? headers['x-amz-checksum-sha256'] : undefined
      if (checksum !== undefined) headers['x-amz-content-sha256'] = Buffer.from(checksum, 'base64').toString('hex')
      return next(args)
    },
    { step: 'build', name: 'signByChecksum' },
  )
}
