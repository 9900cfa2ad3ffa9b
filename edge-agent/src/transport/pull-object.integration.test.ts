import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { PullModelRequestSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { Link } from '@tributary/local-stack/testing/link'
import { ObjectCache, sha256Of } from '../state/object-cache.ts'
import { TestAuthority } from '../testing/certificates.ts'
import { bundle, identityOf, publishBundle, temporaryFolder } from '../testing/federation.ts'
import { TestNode } from '../testing/test-node.ts'
import type { Identity } from './identity.ts'
import { NodeClient } from './node-client.ts'
import { pullObject } from './pull-object.ts'

const info = { sha256: sha256Of(bundle.weights), bytes: bundle.weights.length }
const times = { unaryMillis: 1_000, stallMillis: 100, verdictMillis: 1_000 }

suite('pulling an object', () => {
  let authority: TestAuthority
  let identity: Identity

  before(async () => {
    authority = await TestAuthority.create()
    identity = await identityOf(authority)
  })

  const pull = async (prepare: (node: TestNode) => void, signal = AbortSignal.timeout(15_000)) => {
    await using folder = await temporaryFolder()
    await using node = await TestNode.start(authority)
    publishBundle(node)
    prepare(node)
    using client = new NodeClient(node.endpoint, identity, times)
    const cache = await ObjectCache.open(folder.path, 2 ** 30)
    const bytes = await pullObject(cache, client, 'token', info, signal)
    return { bytes, pulls: node.pulls.length, again: await pullObject(cache, client, 'token', info, signal), node }
  }

  test('gives its bytes, and has them at hand the next time', async () => {
    const { bytes, again, node } = await pull(() => {})
    assert.equal(sha256Of(bytes), info.sha256)
    assert.deepEqual(again, bytes)
    assert.equal(node.pulls.length, 1)
  })

  test('a connection that is retired in a pull ends with it, and whoever still has it can go on', async () => {
    await using node = await TestNode.start(authority)
    await using link = await Link.open(node.endpoint)
    publishBundle(node)
    using client = new NodeClient(link.endpoint, identity, times)
    const request = create(PullModelRequestSchema, { token: 'token', sha256: info.sha256, offset: 0n })
    const bytesOf = async (retire: () => void) => {
      let bytes = 0
      for await (const { chunk } of client.pullModel(request, AbortSignal.timeout(15_000))) {
        retire()
        bytes += chunk.byteLength
      }
      return bytes
    }
    assert.equal(await bytesOf(() => client.retire()), info.bytes)
    assert.equal(link.connections, 1)
    assert.equal(await bytesOf(() => {}), info.bytes)
    assert.equal(link.connections, 2)
  })

  test('gives up on a node from which nothing comes', async () => {
    const silent = (node: TestNode) => {
      node.answerPull = () => undefined
    }
    await assert.rejects(pull(silent), { name: 'CallError', message: /nothing moved for 0\.1 s/ })
  })

  test('stops at the first byte beyond the announced size', async () => {
    const endless = (node: TestNode) => {
      node.answerPull = () => [bundle.weights.subarray(0, 500_000), bundle.weights.subarray(0, 500_000)]
    }
    await assert.rejects(pull(endless), { code: 'LENGTH_MISMATCH' })
  })

  test('asks again for bytes of another hash, and tells when they do not get better', async () => {
    let tries = 0
    const forged = (node: TestNode) => {
      node.answerPull = () => {
        tries += 1
        return [new Uint8Array(400_000), new Uint8Array(info.bytes - 400_000)]
      }
    }
    await assert.rejects(pull(forged), { code: 'CHECKSUM_MISMATCH' })
    assert.equal(tries, 4)
  })

  test('names the refusal of the catalogue and does not insist', async () => {
    let tries = 0
    const refused = (node: TestNode) => {
      node.answerPull = () => {
        tries += 1
        return 'TOKEN_INVALID'
      }
    }
    await assert.rejects(pull(refused), {
      code: 'TOKEN_INVALID',
      message: /PullModel at localhost:\d+: TOKEN_INVALID: say ä/,
    })
    assert.equal(tries, 1)
  })

  test('ends at once when nobody wants the object any more', async () => {
    const controller = new AbortController()
    const abort = (node: TestNode) => {
      node.answerPull = () => {
        controller.abort(new Error('cancelled'))
        return undefined
      }
    }
    await assert.rejects(pull(abort, controller.signal), /cancelled/)
  })
})
