import { cumSumGradient, triluGradient } from './accumulate.ts'
import {
  addGradient,
  castGradient,
  divGradient,
  extremumGradient,
  meanGradient,
  mulGradient,
  powGradient,
  subGradient,
  whereGradient,
} from './arithmetic.ts'
import { averagePoolGradient, globalAveragePoolGradient, globalMaxPoolGradient } from './average-pool.ts'
import { batchNormalizationGradient } from './batch-normalization.ts'
import { clipGradient, hardSigmoidGradient, hardSwishGradient } from './clip.ts'
import { concatGradient, splitGradient } from './concat-split.ts'
import { convGradient, convTransposeGradient } from './conv.ts'
import { dropoutGradient } from './dropout.ts'
import { einsumGradient } from './einsum.ts'
import { expandGradient, tileGradient } from './expand.ts'
import { gatherElementsGradient, gatherGradient, gatherNdGradient, scatterGradient } from './gather.ts'
import { geluGradient } from './gelu.ts'
import { gemmGradient } from './gemm.ts'
import type { GradientRule } from './gradient-rule.ts'
import { gruGradient } from './gru.ts'
import { lstmGradient } from './lstm.ts'
import { matMulGradient } from './mat-mul.ts'
import { maxPoolGradient } from './max-pool.ts'
import {
  groupNormalizationGradient,
  instanceNormalizationGradient,
  layerNormalizationGradient,
} from './normalization.ts'
import {
  reduceExtremumGradient,
  reduceL1Gradient,
  reduceL2Gradient,
  reduceLogSumExpGradient,
  reduceMeanGradient,
  reduceSumGradient,
  reduceSumSquareGradient,
} from './reduce.ts'
import { celuGradient, eluGradient, leakyReluGradient, preluGradient, reluGradient } from './relu.ts'
import { identityGradient, reshapeGradient } from './reshape.ts'
import { resizeGradient } from './resize.ts'
import { padGradient, sliceGradient } from './slice.ts'
import {
  absGradient,
  cosGradient,
  erfGradient,
  expGradient,
  logGradient,
  mishGradient,
  negGradient,
  reciprocalGradient,
  sigmoidGradient,
  sinGradient,
  softplusGradient,
  softsignGradient,
  sqrtGradient,
  tanhGradient,
} from './smooth.ts'
import { logSoftmaxGradient, softmaxGradient } from './softmax.ts'
import { depthToSpaceGradient, spaceToDepthGradient, transposeGradient } from './transpose.ts'

/** Operators whose gradient may come from any of their outputs. */
export const manyOutputs: ReadonlySet<string> = new Set(['GRU', 'LSTM', 'Split'])

/** Operators that a gradient can pass through. */
export const gradientRules: ReadonlyMap<string, GradientRule> = new Map([
  ['Abs', absGradient],
  ['Add', addGradient],
  ['AveragePool', averagePoolGradient],
  ['BatchNormalization', batchNormalizationGradient],
  ['Cast', castGradient],
  ['CastLike', castGradient],
  ['Celu', celuGradient],
  ['Clip', clipGradient],
  ['Concat', concatGradient],
  ['Conv', convGradient],
  ['ConvTranspose', convTransposeGradient],
  ['Cos', cosGradient],
  ['CumSum', cumSumGradient],
  ['DepthToSpace', depthToSpaceGradient],
  ['Div', divGradient],
  ['Dropout', dropoutGradient],
  ['Einsum', einsumGradient],
  ['Elu', eluGradient],
  ['Erf', erfGradient],
  ['Exp', expGradient],
  ['Expand', expandGradient],
  ['Flatten', reshapeGradient],
  ['GRU', gruGradient],
  ['LSTM', lstmGradient],
  ['Gather', gatherGradient],
  ['GatherElements', gatherElementsGradient],
  ['GatherND', gatherNdGradient],
  ['Gelu', geluGradient],
  ['Gemm', gemmGradient],
  ['GlobalAveragePool', globalAveragePoolGradient],
  ['GlobalMaxPool', globalMaxPoolGradient],
  ['GroupNormalization', groupNormalizationGradient],
  ['HardSigmoid', hardSigmoidGradient],
  ['HardSwish', hardSwishGradient],
  ['Identity', identityGradient],
  ['InstanceNormalization', instanceNormalizationGradient],
  ['LayerNormalization', layerNormalizationGradient],
  ['LeakyRelu', leakyReluGradient],
  ['Log', logGradient],
  ['LogSoftmax', logSoftmaxGradient],
  ['MatMul', matMulGradient],
  ['Max', extremumGradient],
  ['MaxPool', maxPoolGradient],
  ['Mean', meanGradient],
  ['Min', extremumGradient],
  ['Mish', mishGradient],
  ['Mul', mulGradient],
  ['Neg', negGradient],
  ['PRelu', preluGradient],
  ['Pad', padGradient],
  ['Pow', powGradient],
  ['Reciprocal', reciprocalGradient],
  ['ReduceL1', reduceL1Gradient],
  ['ReduceL2', reduceL2Gradient],
  ['ReduceLogSumExp', reduceLogSumExpGradient],
  ['ReduceMax', reduceExtremumGradient],
  ['ReduceMean', reduceMeanGradient],
  ['ReduceMin', reduceExtremumGradient],
  ['ReduceSum', reduceSumGradient],
  ['ReduceSumSquare', reduceSumSquareGradient],
  ['Relu', reluGradient],
  ['Reshape', reshapeGradient],
  ['ScatterElements', scatterGradient],
  ['ScatterND', scatterGradient],
  ['Resize', resizeGradient],
  ['Selu', eluGradient],
  ['Sigmoid', sigmoidGradient],
  ['Sin', sinGradient],
  ['Slice', sliceGradient],
  ['Softmax', softmaxGradient],
  ['Softplus', softplusGradient],
  ['Softsign', softsignGradient],
  ['SpaceToDepth', spaceToDepthGradient],
  ['Split', splitGradient],
  ['Sqrt', sqrtGradient],
  ['Squeeze', reshapeGradient],
  ['Sub', subGradient],
  ['Sum', addGradient],
  ['Tanh', tanhGradient],
  ['Tile', tileGradient],
  ['Transpose', transposeGradient],
  ['Trilu', triluGradient],
  ['Unsqueeze', reshapeGradient],
  ['Where', whereGradient],
])
