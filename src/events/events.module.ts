import { Global, Module } from '@nestjs/common';
import { EventEmitterModule } from '@nestjs/event-emitter';
import { BuildEventBus } from './build-events';

@Global()
@Module({ imports: [EventEmitterModule.forRoot()], providers: [BuildEventBus], exports: [BuildEventBus] })
export class EventsModule {}
