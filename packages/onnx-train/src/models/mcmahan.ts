import type { Attribute, Graph, Node } from '../graph.ts'
import { modelFromGraph } from '../graph-to-proto.ts'
import { elementCount, type Tensor } from '../tensor.ts'
import { writeModel } from '../write-model.ts'
import { glorotUniform, splitmix32 } from './random.ts'

const opset = 17
const classes = 10

/**
 * The 2NN of McMahan et al. 2017: 784 → 200 → 200 → 10, ReLU, softmax; 199 210 parameters. ONNX bytes, input "image"
 * float32 [batch, 784] with values 0 … 1, output "probabilities" [batch, 10]. Same seed, same bytes.
 */
export const mcmahan2nn = (seed: number): Uint8Array => {
  const layers = new Layers(seed)
  const hidden1 = layers.dense('hidden1', 'image', 784, 200, 'Relu')
  const hidden2 = layers.dense('hidden2', hidden1, 200, 200, 'Relu')
  return layers.finish('mcmahan_2nn', [784], layers.dense('classifier', hidden2, 200, classes))
}

/**
 * The CNN of McMahan et al. 2017: two 5×5 convolutions (32 and 64 channels, same padding), each with ReLU and 2×2
 * max pooling, a dense layer of 512, softmax; 1 663 370 parameters. ONNX bytes, input "image" float32
 * [batch, 1, 28, 28] with values 0 … 1, output "probabilities" [batch, 10]. Same seed, same bytes.
 */
export const mcmahanCnn = (seed: number): Uint8Array => {
  const layers = new Layers(seed)
  const features1 = layers.pooledConv('conv1', 'image', 1, 32)
  const features2 = layers.pooledConv('conv2', features1, 32, 64)
  const flat = layers.node('Flatten', 'flatten', [features2], { axis: { int: 1 } })
  const hidden = layers.dense('hidden', flat, 64 * 7 * 7, 512, 'Relu')
  return layers.finish('mcmahan_cnn', [1, 28, 28], layers.dense('classifier', hidden, 512, classes))
}

/** Collects nodes and seeded weights, in the order in which the layers are added. */
class Layers {
  readonly #nodes: Node[] = []
  readonly #weights = new Map<string, Tensor>()
  readonly #next: () => number

  constructor(seed: number) {
    this.#next = splitmix32(seed)
  }

  node(op: string, name: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    const output = `${name}.out`
    this.#nodes.push({ op, name, inputs, outputs: [output], attributes: new Map(Object.entries(attributes)) })
    return output
  }

  /** Weights [output, input] as PyTorch stores them, bias 0. */
  dense(name: string, input: string, inputs: number, outputs: number, activation?: 'Relu'): string {
    const weights = this.#weightsAndBias(name, [outputs, inputs], inputs, outputs)
    const sum = this.node('Gemm', name, [input, ...weights], { transB: { int: 1 } })
    return activation === undefined ? sum : this.node(activation, `${name}.relu`, [sum])
  }

  pooledConv(name: string, input: string, channels: number, filters: number): string {
    const weights = this.#weightsAndBias(name, [filters, channels, 5, 5], channels * 25, filters * 25)
    const attributes = { kernel_shape: { ints: [5, 5] }, pads: { ints: [2, 2, 2, 2] }, strides: { ints: [1, 1] } }
    const sum = this.node('Conv', name, [input, ...weights], attributes)
    const relu = this.node('Relu', `${name}.relu`, [sum])
    return this.node('MaxPool', `${name}.pool`, [relu], { kernel_shape: { ints: [2, 2] }, strides: { ints: [2, 2] } })
  }

  finish(name: string, exampleShape: readonly number[], logits: string): Uint8Array {
    this.#nodes.push({
      op: 'Softmax',
      name: 'softmax',
      inputs: [logits],
      outputs: ['probabilities'],
      attributes: new Map([['axis', { int: 1 }]]),
    })
    const graph: Graph = {
      name,
      inputs: [{ name: 'image', dtype: 'float32', shape: ['batch', ...exampleShape] }],
      outputs: [{ name: 'probabilities', dtype: 'float32', shape: ['batch', classes] }],
      constants: this.#weights,
      nodes: this.#nodes,
    }
    return writeModel(modelFromGraph(graph, opset))
  }

  #weightsAndBias(name: string, shape: readonly number[], fanIn: number, fanOut: number): [string, string] {
    const data = glorotUniform(this.#next, elementCount(shape), fanIn, fanOut)
    this.#weights.set(`${name}.weight`, { dtype: 'float32', shape, data })
    const filters = shape[0] ?? 0
    this.#weights.set(`${name}.bias`, { dtype: 'float32', shape: [filters], data: new Float32Array(filters) })
    return [`${name}.weight`, `${name}.bias`]
  }
}
