import type { ObjectRequest } from '../storage-request.ts'

/** `DELETE /<bucket>/<key>`: an object that is not there is gone too. */
export async function deleteObject({ response, bucket, key }: ObjectRequest): Promise<void> {
  await bucket.delete(key)
  response.writeHead(204).end()
}
