import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, suite, test } from 'node:test'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import type { ServiceContext } from '../service-context.ts'
import { testContext } from '../testing.ts'
import { type ObjectStorageService, startObjectStorage } from './object-storage.ts'

const Bucket = 'models'
const mebibyte = 1024 * 1024

suite('object storage with the real S3 client', { timeout: 120_000 }, () => {
  const resources = new AsyncDisposableStack()
  let context: ServiceContext
  let service: ObjectStorageService
  let s3: S3Client

  const client = (secretAccessKey: string, options: Partial<ConstructorParameters<typeof S3Client>[0]> = {}) =>
    new S3Client({
      endpoint: service.url,
      region: 'local',
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: { accessKeyId: context.credentials.awsAccessKeyId, secretAccessKey },
      ...options,
    })

  before(async () => {
    context = resources.use(await testContext())
    service = resources.use(await startObjectStorage([Bucket], context))
    s3 = client(context.credentials.awsSecretAccessKey)
  })
  after(() => resources.disposeAsync())

  const bytesOf = async (Key: string, options: { Range?: string } = {}) => {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key, ...options }))
    return Buffer.from((await Body?.transformToByteArray()) ?? [])
  }

  test('gives back what was put, with its metadata, for every checksum and for streams', async () => {
    const body = randomBytes(300_000)
    for (const ChecksumAlgorithm of [undefined, 'CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const) {
      const Key = `put/${ChecksumAlgorithm ?? 'default'} ü+&'()*.bin`
      const put = await s3.send(
        new PutObjectCommand({
          Bucket,
          Key,
          Body: body,
          Metadata: { a: 'b' },
          ...(ChecksumAlgorithm ? { ChecksumAlgorithm } : {}),
        }),
      )
      assert.equal(put.ETag, `"${createHash('md5').update(body).digest('hex')}"`)
      const got = await s3.send(new GetObjectCommand({ Bucket, Key }))
      assert.deepEqual(Buffer.from((await got.Body?.transformToByteArray()) ?? []), body)
      assert.deepEqual(got.Metadata, { a: 'b' })
    }
    await s3.send(
      new PutObjectCommand({
        Bucket,
        Key: 'stream',
        Body: Readable.from([body.subarray(0, 9), body.subarray(9)]),
        ContentLength: body.length,
      }),
    )
    assert.deepEqual(await bytesOf('stream'), body)
    await s3.send(new PutObjectCommand({ Bucket, Key: 'empty', Body: '', ContentLength: 0 }))
    assert.equal((await bytesOf('empty')).length, 0)
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: 'stream', ChecksumMode: 'ENABLED' }))
    assert.equal(head.ContentLength, body.length)
    assert.ok(head.ChecksumCRC32)
  })

  test('refuses a body that is not the promised one and keeps nothing of it', async () => {
    const wrong = { Bucket, Key: 'wrong', Body: 'hello' }
    await assert.rejects(s3.send(new PutObjectCommand({ ...wrong, ChecksumCRC32: 'AAAAAA==' })), { name: 'BadDigest' })
    await assert.rejects(s3.send(new PutObjectCommand({ ...wrong, ContentMD5: 'AAAAAAAAAAAAAAAAAAAAAA==' })), {
      name: 'BadDigest',
    })
    await assert.rejects(s3.send(new GetObjectCommand({ Bucket, Key: 'wrong' })), { name: 'NoSuchKey' })
  })

  test('reads ranges and answers conditions', async () => {
    await s3.send(new PutObjectCommand({ Bucket, Key: 'range', Body: '0123456789' }))
    assert.equal(String(await bytesOf('range', { Range: 'bytes=2-4' })), '234')
    assert.equal(String(await bytesOf('range', { Range: 'bytes=7-' })), '789')
    assert.equal(String(await bytesOf('range', { Range: 'bytes=-2' })), '89')
    assert.equal(String(await bytesOf('range', { Range: 'bytes=0-99' })), '0123456789')
    await assert.rejects(bytesOf('range', { Range: 'bytes=10-' }), { name: 'InvalidRange' })
    const ETag = (await s3.send(new HeadObjectCommand({ Bucket, Key: 'range' }))).ETag
    const status = (code: number) => (error: { $metadata?: { httpStatusCode?: number } }) =>
      error.$metadata?.httpStatusCode === code
    await assert.rejects(s3.send(new GetObjectCommand({ Bucket, Key: 'range', IfNoneMatch: ETag })), status(304))
    await assert.rejects(s3.send(new GetObjectCommand({ Bucket, Key: 'range', IfMatch: '"0"' })), status(412))
  })

  test('writes once under If-None-Match, even when many try at the same time', async () => {
    const tries = Array.from({ length: 8 }, (_, n) =>
      s3.send(new PutObjectCommand({ Bucket, Key: 'once', Body: `${n}`, IfNoneMatch: '*' })).then(
        () => n,
        error => error.name,
      ),
    )
    const results = await Promise.all(tries)
    const winners = results.filter(result => typeof result === 'number')
    assert.equal(winners.length, 1)
    assert.equal(results.filter(result => result === 'PreconditionFailed').length, 7)
    assert.equal(String(await bytesOf('once')), String(winners[0]))
    const ETag = (await s3.send(new HeadObjectCommand({ Bucket, Key: 'once' }))).ETag
    await s3.send(new PutObjectCommand({ Bucket, Key: 'once', Body: 'next', IfMatch: ETag }))
    await assert.rejects(s3.send(new PutObjectCommand({ Bucket, Key: 'once', Body: 'late', IfMatch: ETag })), {
      name: 'PreconditionFailed',
    })
  })

  test('puts an object together from parts', async () => {
    for (const ChecksumAlgorithm of [undefined, 'SHA256', 'CRC64NVME'] as const) {
      const Key = `parts-${ChecksumAlgorithm}`
      const chosen = ChecksumAlgorithm ? { ChecksumAlgorithm } : {}
      const { UploadId } = await s3.send(
        new CreateMultipartUploadCommand({ Bucket, Key, ContentType: 'application/x-model', ...chosen }),
      )
      const pieces = [randomBytes(5 * mebibyte), randomBytes(5 * mebibyte), randomBytes(1000)]
      const Parts = []
      for (const [at, Body] of pieces.entries()) {
        const PartNumber = at + 1
        await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body: 'replaced', ...chosen }))
        const part = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body, ...chosen }))
        Parts.push({
          PartNumber,
          ETag: part.ETag,
          ChecksumCRC32: part.ChecksumCRC32,
          ChecksumSHA256: part.ChecksumSHA256,
          ChecksumCRC64NVME: part.ChecksumCRC64NVME,
        })
      }
      const listed = await s3.send(new ListPartsCommand({ Bucket, Key, UploadId, MaxParts: 2 }))
      assert.deepEqual(
        listed.Parts?.map(part => part.Size),
        [5 * mebibyte, 5 * mebibyte],
      )
      assert.equal(listed.IsTruncated, true)
      const MultipartUpload = { Parts }
      const complete = (options: object) =>
        s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload, ...options }))
      await assert.rejects(complete({ MultipartUpload: { Parts: [...Parts].reverse() } }), { name: 'InvalidPartOrder' })
      await assert.rejects(complete({ MultipartUpload: { Parts: [{ PartNumber: 9, ETag: '"0"' }] } }), {
        name: 'InvalidPart',
      })
      const done = await complete({ IfNoneMatch: '*' })
      const md5s = Buffer.concat(pieces.map(piece => createHash('md5').update(piece).digest()))
      assert.equal(done.ETag, `"${createHash('md5').update(md5s).digest('hex')}-3"`)
      const whole = Buffer.concat(pieces)
      assert.deepEqual(await bytesOf(Key), whole)
      assert.deepEqual(
        await bytesOf(Key, { Range: `bytes=${5 * mebibyte - 3}-${5 * mebibyte + 2}` }),
        whole.subarray(5 * mebibyte - 3, 5 * mebibyte + 3),
      )
      await assert.rejects(complete({}), { name: 'NoSuchUpload' })
    }
  })

  test('refuses small parts before the last and forgets aborted uploads', async () => {
    const Key = 'small'
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }))
    const Parts = []
    for (const PartNumber of [1, 2]) {
      const { ETag } = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body: 'x' }))
      Parts.push({ PartNumber, ETag })
    }
    await assert.rejects(
      s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } })),
      { name: 'EntityTooSmall' },
    )
    await s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }))
    await assert.rejects(s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: 'x' })), {
      name: 'NoSuchUpload',
    })
    await assert.rejects(s3.send(new ListPartsCommand({ Bucket, Key, UploadId: '../../objects' })), {
      name: 'NoSuchUpload',
    })
  })

  test('lists keys in byte order, by prefix and by folder, page by page', async () => {
    const Prefix = 'list/'
    for (const Key of ['a', 'b/1', 'b/2', 'c', 'ü', '~'])
      await s3.send(new PutObjectCommand({ Bucket, Key: Prefix + Key, Body: 'x' }))
    const all = await s3.send(new ListObjectsV2Command({ Bucket, Prefix }))
    assert.deepEqual(
      all.Contents?.map(({ Key }) => Key),
      ['a', 'b/1', 'b/2', 'c', '~', 'ü'].map(key => Prefix + key),
    )
    const seen: (string | undefined)[] = []
    let ContinuationToken: string | undefined
    do {
      const page = await s3.send(
        new ListObjectsV2Command({ Bucket, Prefix, Delimiter: '/', MaxKeys: 2, ContinuationToken }),
      )
      seen.push(
        ...(page.CommonPrefixes ?? []).map(common => common.Prefix),
        ...(page.Contents ?? []).map(({ Key }) => Key),
      )
      ContinuationToken = page.NextContinuationToken
    } while (ContinuationToken)
    assert.deepEqual(seen.sort(), ['list/a', 'list/b/', 'list/c', 'list/~', 'list/ü'].sort())
  })

  test('deletes, makes buckets and treats keys as names, not as paths', async () => {
    await s3.send(new CreateBucketCommand({ Bucket: 'second-bucket' }))
    await s3.send(new PutObjectCommand({ Bucket: 'second-bucket', Key: '../../etc/passwd', Body: 'x' }))
    const listed = await s3.send(new ListObjectsV2Command({ Bucket: 'second-bucket' }))
    assert.deepEqual(
      listed.Contents?.map(({ Key }) => Key),
      ['../../etc/passwd'],
    )
    await s3.send(new DeleteObjectCommand({ Bucket: 'second-bucket', Key: '../../etc/passwd' }))
    await s3.send(new DeleteObjectCommand({ Bucket: 'second-bucket', Key: '../../etc/passwd' }))
    assert.equal((await s3.send(new ListObjectsV2Command({ Bucket: 'second-bucket' }))).KeyCount, 0)
    await assert.rejects(s3.send(new PutObjectCommand({ Bucket: 'missing', Key: 'k', Body: 'x' })), {
      name: 'NoSuchBucket',
    })
    await assert.rejects(s3.send(new CreateBucketCommand({ Bucket: 'UPPER' })), { name: 'InvalidBucketName' })
  })

  test('presigned URLs work without credentials, hold to what was signed, and end', async () => {
    const unsigned = client(context.credentials.awsSecretAccessKey, { requestChecksumCalculation: 'WHEN_REQUIRED' })
    const body = 'presigned'
    const ChecksumSHA256 = createHash('sha256').update(body).digest('base64')
    const put = await getSignedUrl(unsigned, new PutObjectCommand({ Bucket, Key: 'pre signed', ChecksumSHA256 }), {
      expiresIn: 60,
      unhoistableHeaders: new Set(['x-amz-checksum-sha256']),
    })
    const headers = { 'x-amz-checksum-sha256': ChecksumSHA256, origin: `http://localhost:${context.ports.console}` }
    assert.equal((await fetch(put, { method: 'PUT', body: 'another', headers })).status, 400)
    assert.equal((await fetch(put, { method: 'PUT', body })).status, 403)
    const done = await fetch(put, { method: 'PUT', body, headers })
    assert.equal(done.status, 200)
    assert.equal(done.headers.get('access-control-allow-origin'), headers.origin)
    const get = await getSignedUrl(unsigned, new GetObjectCommand({ Bucket, Key: 'pre signed' }), { expiresIn: 60 })
    assert.equal(await (await fetch(get)).text(), body)
    assert.equal((await fetch(get, { headers: { range: 'bytes=0-2' } })).status, 206)
    assert.equal((await fetch(get.replace('pre%20signed', 'once'))).status, 403)
    const old = await getSignedUrl(unsigned, new GetObjectCommand({ Bucket, Key: 'pre signed' }), {
      expiresIn: 60,
      signingDate: new Date(Date.now() - 120_000),
    })
    const ended = await fetch(old)
    assert.equal(ended.status, 403)
    assert.match(await ended.text(), /Request has expired/)
  })

  test('refuses wrong secrets, unsigned requests and hostile bodies with the codes of S3', async () => {
    await assert.rejects(client('wrong').send(new GetObjectCommand({ Bucket, Key: 'range' })), {
      name: 'SignatureDoesNotMatch',
    })
    const naked = await fetch(`${service.url}/${Bucket}/range`)
    assert.equal(naked.status, 403)
    assert.match(await naked.text(), /<Code>AccessDenied<\/Code>/)
    assert.equal((await fetch(`${service.url}/%ff`)).status, 400)
    await assert.rejects(s3.send(new PutObjectCommand({ Bucket, Key: 'k'.repeat(1025), Body: 'x' })), {
      name: 'KeyTooLongError',
    })
    await assert.rejects(
      s3.send(new PutObjectCommand({ Bucket, Key: 'meta', Body: 'x', Metadata: { a: 'x'.repeat(3000) } })),
      { name: 'InvalidArgument' },
    )
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: 'xml' }))
    const url = await getSignedUrl(s3, new CompleteMultipartUploadCommand({ Bucket, Key: 'xml', UploadId }))
    for (const xml of [
      '',
      '<a>',
      '<CompleteMultipartUpload></CompleteMultipartUpload>',
      '<!DOCTYPE x [<!ENTITY e "x">]><CompleteMultipartUpload>&e;</CompleteMultipartUpload>',
    ]) {
      const answer = await fetch(url, { method: 'POST', body: xml })
      assert.equal(answer.status, 400)
      assert.match(await answer.text(), /MalformedXML/)
    }
    const preflight = {
      method: 'OPTIONS',
      headers: { origin: 'http://evil.example', 'access-control-request-method': 'PUT' },
    }
    assert.equal((await fetch(`${service.url}/${Bucket}/range`, preflight)).status, 403)
  })

  test('keeps objects over a restart', async () => {
    await s3.send(new PutObjectCommand({ Bucket, Key: 'kept', Body: 'kept' }))
    await service[Symbol.asyncDispose]()
    service = resources.use(await startObjectStorage([Bucket], context))
    assert.equal(String(await bytesOf('kept')), 'kept')
  })
})
