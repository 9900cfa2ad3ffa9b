/** What `--help` prints. */
export const usage = `Trains ONNX models on this machine, without Python.

  npm run onnx-train -- inspect model.onnx [options]   what can be trained and what not, and why
  npm run onnx-train -- compile model.onnx --out step.onnx [options]
                                                       the train step as a graph for any ONNX runtime,
                                                       and step.onnx.json, which describes its inputs and outputs
  npm run onnx-train -- train model.onnx --data data [options]
                                                       train on a file of examples, or on the data sets that
                                                       data/datasets.json declares

Loss and model
  --loss name            softmax-cross-entropy (default), negative-log-likelihood, sigmoid-binary-cross-entropy,
                         mean-squared-error, mean-absolute-error, huber
  --label-smoothing e    --ignore-index label    --class-axis axis    --huber-delta d
  --output value         train up to this value of the graph and leave out what follows
  --input name           the input that gets the examples, where there are several
  --input name=number    fill this input with a number (repeatable), as a mask of ones
  --freeze pattern       parameters that keep their values (repeatable; * stands for any characters)
  --only pattern         train these alone (repeatable)

Optimiser
  --optimizer name       sgd (default), momentum, nesterov, adam, adamw
  --momentum m           --beta1 b    --beta2 b    --epsilon e    --weight-decay l
  --clip norm            scale every batch's gradient down to this global norm
  --proximal mu          FedProx: hold the weights near where they start

compile
  --out file             where to write the graph
  --form loop|step       many steps in one run (default), or one step over a given batch
  --sample-weights       take a weight for every example
  --correction           take a correction for every parameter (SCAFFOLD)

train
  --data folder          --dataset name (needed where several are not held out)
  --data table.csv (.tsv, .jsonl, .parquet)
                         --label column[,column]    --features column,… (all others)    --classes name,name,…
                         --separator c (,)
  --data x.npy           --labels y.npy
  --data data.npz        --features name (x)    --labels name (y)
  --data images.idx      --labels labels.idx
  --scale n (1)          divide features by it      --hold-out share (0)   evaluate on so much of a file
  --epochs n (1)         --batch-size n (32)    --learning-rate n (0.05)    --seed n (1)
  --out file             write the trained model

Exit codes: 0 done, 1 the model or the data cannot be used or training failed, 2 wrong call.
docs/bring-your-model.md shows how to export models so that they train.
`
