import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'
import { mcmahan2nn } from '@tributary/onnx-train/models/mcmahan'
import { readModel } from '@tributary/onnx-train/read-model'
import { withoutWeights } from '@tributary/onnx-train/without-weights'
import { writeModel } from '@tributary/onnx-train/write-model'
import { exampleBase, exampleManifest, utf8 } from '../testing/example-model.ts'
import { type BundleBytes, testRegistry } from '../testing/test-registry.ts'

const registry = testRegistry()
const json = (value: unknown) => utf8(JSON.stringify(value))
const manifest = json(exampleManifest)

/** A weights file with this header, whatever it says, and so many bytes after it. */
const safetensors = (header: string, dataBytes = 0, claimed = Buffer.byteLength(header)): Uint8Array => {
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(claimed))
  return new Uint8Array(Buffer.concat([length, Buffer.from(header), Buffer.alloc(dataBytes)]))
}
const entry = (offsets: readonly number[], shape: unknown = [1], dtype = 'F32') =>
  JSON.stringify({ dtype, shape, data_offsets: offsets })

const weights: [string, RegExp, Uint8Array][] = [
  ['shorter than its length field', /TRUNCATED/, new Uint8Array(7)],
  ['with a header that ends early', /TRUNCATED/, safetensors('{}', 0, 100)],
  ['with a header of exabytes', /HEADER_TOO_LARGE/, safetensors('{}', 0, Number.MAX_SAFE_INTEGER)],
  [
    'that is a zip archive',
    /HEADER_TOO_LARGE/,
    new Uint8Array(Buffer.from('PK\x03\x04\x14\0\0\0\x08\0archive/data.pkl')),
  ],
  [
    'that is a pickle',
    /HEADER_TOO_LARGE/,
    new Uint8Array(Buffer.from('\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01.')),
  ],
  ['whose header is not JSON', /NOT_JSON/, safetensors('{"w":')],
  ['whose header is not UTF-8', /NOT_UTF8/, (bytes => bytes.fill(0xff, 9, 10))(safetensors('{"w":{}}'))],
  ['whose header nests deeply', /NOT_JSON|MALFORMED_ENTRY/, safetensors(`{"w":${'['.repeat(200_000)}`)],
  ['with data that overlaps', /OVERLAP/, safetensors(`{"a":${entry([0, 4])},"b":${entry([2, 6])}}`, 6)],
  ['with a gap in its data', /GAP/, safetensors(`{"a":${entry([0, 4])},"b":${entry([8, 12])}}`, 12)],
  ['with offsets that run backwards', /INVALID_OFFSETS/, safetensors(`{"a":${entry([4, 0])}}`, 4)],
  [
    'with offsets beyond what numbers hold',
    /INVALID_OFFSETS/,
    safetensors('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551616]}}', 4),
  ],
  [
    'with an offset of 1e400',
    /NOT_JSON|INVALID_OFFSETS/,
    safetensors('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,1e400]}}', 4),
  ],
  ['with a shape that overflows', /INVALID_SHAPE/, safetensors(`{"a":${entry([0, 4], [2 ** 40, 2 ** 40])}}`, 4)],
  ['with a shape of another size', /SIZE_MISMATCH/, safetensors(`{"a":${entry([0, 4], [2])}}`, 4)],
  ['of an unknown dtype', /UNKNOWN_DTYPE/, safetensors(`{"a":${entry([0, 4], [1], 'F4')}}`, 4)],
  ['with a name twice', /DUPLICATE_NAME/, safetensors(`{"a":${entry([0, 4])},"a":${entry([4, 8])}}`, 8)],
  ['with bytes after its data', /TRAILING_BYTES/, safetensors(`{"a":${entry([0, 4])}}`, 5)],
  ['with fewer bytes than its data', /TRUNCATED/, safetensors(`{"a":${entry([0, 4])}}`, 3)],
  [
    'with a million tensors',
    /HEADER_TOO_LARGE/,
    safetensors(`{${Array.from({ length: 1e6 }, (_, n) => `"${n}":{}`).join()}}`),
  ],
  [
    'with a name of a megabyte',
    /INVALID_NAME|HEADER_TOO_LARGE/,
    safetensors(`{"${'a'.repeat(1e6)}":${entry([0, 4])}}`, 4),
  ],
  ['without tensors', /manifest: /, safetensors('{}      ')],
  ['with metadata', /metadata/, safetensors(`{"__metadata__":{"format":"pt"},"a":${entry([0, 4])}}`, 4)],
]

const manifests: [string, RegExp, Uint8Array][] = [
  ['that is empty JSON', /manifest: /, utf8('null')],
  ['in UTF-16', /not JSON in UTF-8/, new Uint8Array(Buffer.from('{}', 'utf16le').fill(0xff, 0, 1))],
  ['that nests deeply', /manifest: /, utf8(`${'['.repeat(1e6)}${']'.repeat(1e6)}`)],
  [
    'with a million tensors',
    /manifest: 1000000 tensors/,
    json({ ...exampleManifest, tensors: Array.from({ length: 1e6 }, () => 0) }),
  ],
  [
    'with a million axes',
    /more than 16 axes/,
    json({
      ...exampleManifest,
      tensors: [{ ...exampleManifest.tensors[0], shape: Array.from({ length: 1e6 }, () => -1) }],
    }),
  ],
  [
    'with a million members',
    /manifest: /,
    json(Object.fromEntries(Array.from({ length: 1e5 }, (_, n) => [`k${n}`, n]))),
  ],
  [
    'with a name twice',
    /name of another entry/,
    json({ ...exampleManifest, tensors: [exampleManifest.tensors[0], exampleManifest.tensors[0]] }),
  ],
  [
    'that averages integers',
    /floating-point/,
    json({ ...exampleManifest, tensors: [{ name: 'n', dtype: 'I64', shape: [1], policy: 'average' }] }),
  ],
  [
    'with sizes that overflow',
    /too large to count/,
    json({ ...exampleManifest, tensors: [{ name: 'n', dtype: 'F32', shape: [2 ** 40, 2 ** 40], policy: 'average' }] }),
  ],
  ['with a member of __proto__', /manifest: /, utf8(`{"__proto__":{"format":"tributary.manifest/1"},"tensors":[]}`)],
]

const bare = () => readModel(writeModel(withoutWeights(readModel(mcmahan2nn(1), { maxBytes: 1e7 }))), { maxBytes: 1e7 })
const graphOf = (change: (graph: NonNullable<ReturnType<typeof bare>['graph']>) => void): Uint8Array => {
  const model = bare()
  assert.ok(model.graph !== undefined)
  change(model.graph)
  return writeModel(model)
}
const nested = (depth: number): Uint8Array => {
  // Field 7 (graph) in field 7 …, each a message in the one before.
  let bytes = Buffer.alloc(0)
  for (let level = 0; level < depth; level += 1) {
    const length: number[] = []
    for (let rest = bytes.length; ; rest = Math.floor(rest / 128)) {
      length.push(rest > 127 ? (rest % 128) | 128 : rest)
      if (rest <= 127) break
    }
    bytes = Buffer.concat([Buffer.from([level % 2 === 0 ? 0x3a : 0x0a, ...length]), bytes])
  }
  return new Uint8Array(bytes)
}

/** A graph (field 7) of 32 MB and more that is nothing but empty nodes (field 1): gigabytes once decoded. */
const emptyNodes = (count: number): Uint8Array => {
  const length = 2 * count
  const prefix = [
    0x3a,
    ...[0, 1, 2].map(n => (Math.floor(length / 128 ** n) % 128) | 128),
    Math.floor(length / 128 ** 3),
  ]
  const bytes = new Uint8Array(prefix.length + length)
  bytes.set(prefix)
  for (let at = prefix.length; at < bytes.length; at += 2) bytes[at] = 0x0a
  return bytes
}

const graphs: [string, RegExp, () => Uint8Array][] = [
  ['that is not ONNX', /MALFORMED/, () => utf8('not a graph')],
  ['that nests deeply', /MALFORMED|IR_VERSION/, () => nested(5000)],
  [
    'with external data',
    /EXTERNAL_DATA/,
    () => {
      const whole = readModel(mcmahan2nn(1), { maxBytes: 1e7 })
      const [first] = whole.graph?.initializer ?? []
      assert.ok(first !== undefined)
      first.externalData.push({ $typeName: 'onnx.StringStringEntryProto', key: 'location', value: '../../etc/passwd' })
      return writeModel(whole)
    },
  ],
  [
    'with an unknown operator',
    /OPERATOR_UNSUPPORTED.*"Launch"/,
    () => graphOf(({ node }) => void Object.assign(node[0] ?? {}, { opType: 'Launch' })),
  ],
  [
    'with an operator of another domain',
    /DOMAIN_UNSUPPORTED/,
    () => graphOf(({ node }) => void Object.assign(node[0] ?? {}, { domain: 'com.example' })),
  ],
  [
    'with a cycle',
    /NOT_SORTED/,
    () =>
      graphOf(({ node }) => {
        const [first, last] = [node[0], node.at(-1)]
        if (first !== undefined && last !== undefined) first.input[0] = last.output[0] as string
      }),
  ],
  [
    'whose output comes twice',
    /DUPLICATE_NAME/,
    () =>
      graphOf(({ node }) => {
        const [first, second] = node
        if (first !== undefined && second !== undefined) second.output[0] = first.output[0] as string
      }),
  ],
  ['with thirty million nodes', /TOO_BIG/, () => emptyNodes(30_000_000)],
  [
    'with a hundred thousand nodes',
    /TOO_BIG|TOO_MANY_NODES/,
    () =>
      graphOf(graph => {
        const [first] = graph.node
        if (first !== undefined) graph.node = Array.from({ length: 1e5 }, () => first)
      }),
  ],
]

suite('hostile files', { timeout: 120_000 }, () => {
  let model: string
  before(async () => {
    model = await registry.createModel('hostile')
  })
  const refusal = async (bundle: BundleBytes) => {
    const version = await registry.upload(model, bundle)
    const { status, body } = await registry.finalise(model, version)
    const [row] = await registry.db.sql`select state from model_version where id = ${version}`
    assert.deepEqual(
      [status, body.code, row?.state],
      [422, 'MODEL_INVALID', 'uploading'],
      JSON.stringify(body).slice(0, 500),
    )
    assert.ok(body.detail.length < 700)
    return body.detail as string
  }

  for (const [what, detail, bytes] of weights) {
    test(`weights ${what} are refused`, async () => assert.match(await refusal({ weights: bytes }), detail))
  }
  for (const [what, detail, bytes] of manifests) {
    test(`a manifest ${what} is refused`, async () =>
      assert.match(await refusal({ manifest: bytes, weights: exampleBase() }), detail))
  }
  for (const [what, detail, bytes] of graphs) {
    test(`a graph ${what} is refused`, async () =>
      assert.match(await refusal({ manifest, weights: exampleBase(), graph: bytes() }), detail))
  }

  test('names that mean something to JavaScript are names like any other', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
    const header = names.map((name, n) => `"${name}":${entry([4 * n, 4 * n + 4])}`).join()
    const padded = `{${header}}`.padEnd(Math.ceil((header.length + 2) / 8) * 8)
    const version = await registry.upload(model, { weights: safetensors(padded, 16) })
    assert.equal((await registry.finalise(model, version)).body.state, 'ready')
    const { body } = await registry.api('GET', `/v1/models/${model}/versions/${version}/compare`, {
      query: `with=${version}`,
    })
    assert.deepEqual(
      body.tensors.map(({ name }: { name: string }) => name),
      names,
    )
  })
})
