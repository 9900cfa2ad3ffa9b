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
import { clipGradient, hardSigmoidGradient, hardSwishGradient } from './clip.ts'
import { convGradient } from './conv.ts'
import { geluGradient } from './gelu.ts'
import { gemmGradient, matMulGradient } from './gemm.ts'
import type { GradientRule } from './gradient-rule.ts'
import { maxPoolGradient } from './max-pool.ts'
import { celuGradient, eluGradient, leakyReluGradient, preluGradient, reluGradient } from './relu.ts'
import { identityGradient, reshapeGradient } from './reshape.ts'
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

/** Operators whose gradient may come from any of their outputs. */
export const manyOutputs: ReadonlySet<string> = new Set(['Split'])

/** Operators that a gradient can pass through. */
export const gradientRules: ReadonlyMap<string, GradientRule> = new Map([
  ['Abs', absGradient],
  ['Add', addGradient],
  ['Cast', castGradient],
  ['Celu', celuGradient],
  ['Clip', clipGradient],
  ['Conv', convGradient],
  ['Cos', cosGradient],
  ['Div', divGradient],
  ['Elu', eluGradient],
  ['Erf', erfGradient],
  ['Exp', expGradient],
  ['Flatten', reshapeGradient],
  ['Gelu', geluGradient],
  ['Gemm', gemmGradient],
  ['HardSigmoid', hardSigmoidGradient],
  ['HardSwish', hardSwishGradient],
  ['Identity', identityGradient],
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
  ['Pow', powGradient],
  ['Reciprocal', reciprocalGradient],
  ['Relu', reluGradient],
  ['Reshape', reshapeGradient],
  ['Selu', eluGradient],
  ['Sigmoid', sigmoidGradient],
  ['Sin', sinGradient],
  ['Softmax', softmaxGradient],
  ['Softplus', softplusGradient],
  ['Softsign', softsignGradient],
  ['Sqrt', sqrtGradient],
  ['Squeeze', reshapeGradient],
  ['Sub', subGradient],
  ['Sum', addGradient],
  ['Tanh', tanhGradient],
  ['Unsqueeze', reshapeGradient],
  ['Where', whereGradient],
])
