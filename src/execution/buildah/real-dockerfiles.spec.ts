import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { planDockerfile, type DockerfilePlan } from './dockerfile-plan';
import { cacheDirectory, checkPolicy } from './dockerfile-policy';

// Dockerfiles as popular projects write them. They are read on the oldest engine that is known to be vulnerable.

const directory = path.join(__dirname, '../../../test/support/dockerfiles');
const version = [1, 28, 2];
const hub = (image: string): string => `docker.io/library/${image}`;

type Needs = readonly [images: readonly string[], steps: number, stages: number];

/** The images that each needs, and how many steps of how many stages run. */
const expected: Readonly<Record<string, Needs>> = {
  'cpp-cmake': [[hub('ubuntu:24.04')], 8, 2],
  'cuda-ml': [['docker.io/nvidia/cuda:12.4.1-runtime-ubuntu22.04'], 8, 1],
  devcontainer: [['mcr.microsoft.com/devcontainers/base:0-bookworm'], 6, 1],
  dotnet: [['mcr.microsoft.com/dotnet/aspnet:8.0', 'mcr.microsoft.com/dotnet/sdk:8.0'], 20, 4],
  'elixir-phoenix': [
    ['docker.io/hexpm/elixir:1.16.2-erlang-26.2.2-debian-bullseye-20240130-slim', hub('debian:bullseye-20240130-slim')],
    17,
    2,
  ],
  'go-distroless': [[hub('golang:1.23-bookworm'), 'gcr.io/distroless/static-debian12:nonroot'], 11, 2],
  'go-scratch': [[hub('golang:1.22-alpine3.20')], 16, 2],
  'java-maven': [[hub('maven:3.9-eclipse-temurin-21'), hub('eclipse-temurin:21-jre')], 13, 2],
  'next-standalone': [[hub('node:20-alpine')], 22, 4],
  'nginx-debian': [[hub('debian:bookworm-slim')], 11, 1],
  'nginx-spa': [[hub('node:lts-alpine'), hub('nginx:stable-alpine')], 14, 2],
  'node-express': [[hub('node:20.19-bookworm-slim')], 13, 2],
  'php-apache': [[hub('php:8.2-apache')], 9, 1],
  'php-symfony': [['docker.io/dunglas/frankenphp:1-php8.3'], 19, 3],
  'postgres-extension': [[hub('postgres:17')], 4, 1],
  'python-django': [[hub('python:3.12-slim-bookworm')], 11, 1],
  'python-poetry': [[hub('python:3.12.1'), hub('python:3.12.1-slim')], 18, 3],
  'python-uv': [['ghcr.io/astral-sh/uv:0.5.11', hub('python:3.13-slim')], 6, 2],
  'ruby-rails': [['registry.docker.com/library/ruby:3.3.0-slim'], 17, 3],
  'rust-chef': [['docker.io/lukemathwalker/cargo-chef:latest-rust-1.83.0', hub('debian:bookworm-slim')], 14, 4],
  'rust-musl': [[hub('rust:1-alpine3.20')], 11, 2],
  'shell-odd': [[hub('alpine:3.20')], 8, 2],
  'spring-layers': [[hub('eclipse-temurin:21-jdk-alpine'), hub('eclipse-temurin:21-jre-alpine')], 12, 2],
  'static-site-hugo': [
    [
      'docker.io/hugomods/hugo@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
      hub('caddy:2-alpine'),
      hub('busybox:1.36-musl'),
    ],
    6,
    2,
  ],
  'windows-escape': [[hub('alpine:3.20')], 3, 1],
};

function read(name: string, buildArgs: Readonly<Record<string, string>> = {}): DockerfilePlan {
  const text = readFileSync(path.join(directory, name), 'utf8');
  cacheDirectory(checkPolicy({ name, text, version }).caches, version);
  return planDockerfile({ name, text, buildArgs, hereDocuments: false });
}

it('each of them is expected', () => {
  expect(readdirSync(directory).sort()).toEqual(Object.keys(expected).sort());
});

it.each(Object.entries(expected))('%s is read and let pass', (name, [images, steps, stages]) => {
  const plan = read(name);
  expect(plan.baseImages.map(({ image }) => image.qualified).sort()).toEqual([...images].sort());
  expect([plan.stepCount, plan.stages.length]).toEqual([steps, stages]);
});

it('takes what the build is given for the arguments before the first FROM', () => {
  const given = { CUDA: '12.8.0', CUDNN_SUFFIX: '9', UBUNTU_VERSION: '24.04' };
  expect(read('cuda-ml', given).baseImages.map(({ name }) => name)).toEqual([
    // Of an argument that the Dockerfile does not declare, the build takes no value.
    'nvidia/cuda:12.8.0-cudnn-runtime-ubuntu22.04',
  ]);
});
